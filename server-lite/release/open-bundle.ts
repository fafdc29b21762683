import { type FileHandle, open } from 'node:fs/promises';
import { blockBytes } from '../../protocol/bundle-header.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { endOfFrames } from '../../protocol/manifest-rules.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { BundleError, type BundleParts, type Place, readBundle } from '../../protocol/read-bundle.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { Refusal } from '../refusal.ts';
import { publishTexts } from '../texts.ts';
import { unpackFrame } from './frame.ts';

/** Two blocks of zeros, as the builder writes them. */
const trailerBytes = 2 * blockBytes;

interface OpenedFile {
  readonly file: FileHandle;
  readonly bytes: number;
  /** `1.root.json` first, without gaps. */
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
}

/** Metadata alone: a revocation, or a change of keys, that does not wait for a release. */
export interface OpenedMetadata extends OpenedFile {
  readonly kind: 'metadata';
}

/** A bundle's parts, read but not yet trusted. */
export interface OpenedBundle extends OpenedFile {
  readonly kind: 'release';
  readonly manifestBytes: Buffer;
  readonly manifest: Manifest;
  readonly chunks: Place;
  readonly patches: Place | null;
}

export function malformedBundle(message: string, cause?: unknown): Refusal {
  return new Refusal(
    'bundle-malformed',
    publishTexts.notWhole(message),
    publishTexts.buildAnewNext,
    cause === undefined ? {} : { cause },
  );
}

/** @throws Refusal `bundle-malformed` if the file ends before that */
export async function readExactly(file: FileHandle, position: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, position + filled);
    if (bytesRead === 0) throw malformedBundle(publishTexts.endsTooEarly);
    filled += bytesRead;
  }
  return bytes;
}

/** Reads the form of a bundle and its manifest; nothing is unpacked. The caller closes `file`. */
export async function openBundle(path: string): Promise<OpenedBundle | OpenedMetadata> {
  const file = await open(path, 'r');
  try {
    const { size: bytes } = await file.stat();
    const { roots, targets, release } = await parts(file, bytes);
    const opened = { file, bytes, roots: roots.map((root) => root.bytes), targets };
    if (release === null) return { kind: 'metadata', ...opened };
    const { manifestFrame, chunks, patches } = release;
    const manifestBytes = await unpackManifest(manifestFrame);
    const manifest = parseManifest(manifestBytes);
    requireFrames(manifest, chunks, patches);
    return { kind: 'release', ...opened, manifestBytes, manifest, chunks, patches };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A published bundle begins with the first root and has no padding at its end; appliances are less strict. */
async function parts(file: FileHandle, size: number): Promise<BundleParts> {
  try {
    const found = await readBundle({ size, read: (position, bytes) => readExactly(file, position, bytes) });
    if (found.roots[0]?.version !== 1) throw malformedBundle(publishTexts.noRoot);
    if (found.trailerBytes !== trailerBytes) throw malformedBundle(publishTexts.padding);
    return found;
  } catch (cause) {
    throw cause instanceof BundleError ? malformedBundle(publishTexts.bundleProblem(cause.message), cause) : cause;
  }
}

async function unpackManifest(frame: Buffer): Promise<Buffer> {
  try {
    return await unpackFrame(frame, manifestLimits.manifestBytesMax);
  } catch (cause) {
    throw malformedBundle(publishTexts.manifestNotUnpacked, cause);
  }
}

function parseManifest(bytes: Buffer): Manifest {
  const reading = readManifest(bytes);
  if (reading.outcome === 'read') return reading.manifest;
  if (reading.outcome === 'unusable') throw malformedBundle(publishTexts.manifestNotUsable(reading.why), reading.cause);
  const message = publishTexts.needsNewerServer(reading.needs);
  throw new Refusal('bundle-malformed', message, publishTexts.needsNewerServerNext);
}

/** No appliance takes a bundle with a stray byte, so none is published. */
function requireFrames(manifest: Manifest, chunks: Place, patches: Place | null): void {
  const patchFrames = manifest.chunks.flatMap((chunk) => chunk.patches ?? []);
  if (endOfFrames(manifest.chunks) === chunks.size && endOfFrames(patchFrames) === (patches?.size ?? 0)) return;
  throw malformedBundle(publishTexts.framesDiffer);
}
