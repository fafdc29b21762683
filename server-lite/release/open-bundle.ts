import { type FileHandle, open } from 'node:fs/promises';
import { blockBytes, readBundleHeader } from '../../protocol/bundle-header.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { endOfFrames } from '../../protocol/manifest-rules.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { Refusal } from '../refusal.ts';
import { unpackFrame } from './frame.ts';

/** Entries of a bundle: every root, the targets, the manifest, patches, the chunks. */
const entriesMax = metadataLimits.rootsPerWalkMax + 4;

interface Entry {
  readonly position: number;
  readonly size: number;
}

interface OpenedFile {
  readonly file: FileHandle;
  readonly bytes: number;
  /** `1.root.json` first, without gaps. */
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
}

/** Metadata alone: a revocation, or a change of keys, that waits for no release. */
export interface OpenedMetadata extends OpenedFile {
  readonly kind: 'metadata';
}

/** A bundle's parts, read but not yet trusted. */
export interface OpenedBundle extends OpenedFile {
  readonly kind: 'release';
  readonly manifestBytes: Buffer;
  readonly manifest: Manifest;
  readonly chunks: Entry;
  readonly patches: Entry | null;
}

export function malformedBundle(message: string, cause?: unknown): Refusal {
  const next = 'build the bundle anew, or copy it again';
  return new Refusal(
    'bundle-malformed',
    `the bundle is not whole: ${message}`,
    next,
    cause === undefined ? {} : { cause },
  );
}

/** @throws Refusal `bundle-malformed` when the file ends before */
export async function readExactly(file: FileHandle, position: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, position + filled);
    if (bytesRead === 0) throw malformedBundle('it ends too early');
    filled += bytesRead;
  }
  return bytes;
}

/** Walks the tar headers; nothing is unpacked. The caller closes `file`. */
export async function openBundle(path: string): Promise<OpenedBundle | OpenedMetadata> {
  const file = await open(path, 'r');
  try {
    const { size: bytes } = await file.stat();
    const entries = await readEntries(file, bytes);
    const part = async (name: string, sizeMax: number): Promise<Buffer> => {
      const entry = entries.get(name);
      if (entry === undefined) throw malformedBundle(`it has no ${name}`);
      if (entry.size > sizeMax) throw malformedBundle(`its ${name} has ${entry.size} bytes, more than ${sizeMax}`);
      return readExactly(file, entry.position, entry.size);
    };
    const names = [...entries.keys()];
    const rootNames = names.filter((_, index) => names[index] === `metadata/${index + 1}.root.json`);
    const patches = entries.get('patches') ?? null;
    const release = ['manifest.json.zst', ...(patches === null ? [] : ['patches']), 'chunks'];
    const isMetadata = names.length === rootNames.length + 1;
    const rest = ['metadata/targets.json', ...(isMetadata ? [] : release)];
    if (rootNames.length === 0) throw malformedBundle('it has no metadata/1.root.json');
    if (names.join('\n') !== [...rootNames, ...rest].join('\n')) {
      throw malformedBundle('it has other entries than belong there, or in another order');
    }
    const roots: Buffer[] = [];
    for (const name of rootNames) roots.push(await part(name, metadataLimits.rootBytesMax));
    const targets = await part('metadata/targets.json', metadataLimits.targetsBytesMax);
    if (isMetadata) return { kind: 'metadata', file, bytes, roots, targets };
    const manifestBytes = await unpackManifest(await part('manifest.json.zst', manifestLimits.manifestFrameBytesMax));
    const chunks = entries.get('chunks');
    if (chunks === undefined) throw malformedBundle('it has no chunks');
    const manifest = parseManifest(manifestBytes);
    requireFrames(manifest, chunks, patches);
    return { kind: 'release', file, bytes, roots, targets, manifestBytes, manifest, chunks, patches };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readEntries(file: FileHandle, bytes: number): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  let position = 0;
  while (entries.size <= entriesMax) {
    const block = await readExactly(file, position, blockBytes);
    if (isZero(block)) {
      const end = position + 2 * blockBytes;
      if (bytes !== end || !isZero(await readExactly(file, position + blockBytes, blockBytes))) {
        throw malformedBundle('something is wrong at its end');
      }
      return entries;
    }
    const header = readBundleHeader(block);
    if (header === null) throw malformedBundle(`the header at byte ${position} is not one of a plain file`);
    const { name, size } = header;
    if (entries.has(name)) throw malformedBundle(`it has two entries ${JSON.stringify(name)}`);
    position += blockBytes;
    if (position + size > bytes) throw malformedBundle('it ends too early');
    entries.set(name, { position, size });
    const padding = (blockBytes - (size % blockBytes)) % blockBytes;
    if (!isZero(await readExactly(file, position + size, padding))) throw malformedBundle(`something follows ${name}`);
    position += size + padding;
  }
  throw malformedBundle('it has too many entries');
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

async function unpackManifest(frame: Buffer): Promise<Buffer> {
  try {
    return await unpackFrame(frame, manifestLimits.manifestBytesMax);
  } catch (cause) {
    throw malformedBundle('its manifest can not be unpacked', cause);
  }
}

function parseManifest(bytes: Buffer): Manifest {
  const reading = readManifest(bytes);
  if (reading.outcome === 'read') return reading.manifest;
  if (reading.outcome === 'unusable')
    throw malformedBundle(`its manifest is not usable: ${reading.why}`, reading.cause);
  const message = `the bundle's manifest asks for what this server does not know: ${reading.needs}`;
  throw new Refusal('bundle-malformed', message, 'update the server first; nothing was published');
}

/** No appliance takes a bundle in which a byte belongs to nothing, so none is published. */
function requireFrames(manifest: Manifest, chunks: Entry, patches: Entry | null): void {
  const patchFrames = manifest.chunks.flatMap((chunk) => chunk.patches ?? []);
  if (endOfFrames(manifest.chunks) === chunks.size && endOfFrames(patchFrames) === (patches?.size ?? 0)) return;
  throw malformedBundle('its frames and its manifest do not have the same size');
}
