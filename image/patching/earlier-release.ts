import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { BundleError, type Place, readBundle } from '../../protocol/read-bundle.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { ImageError } from '../errors.ts';
import { buildTexts } from '../texts.ts';

const unpack = promisify(zstdDecompress);

/** One file's content in an earlier release, and where it lies among all of them. */
export interface Part {
  readonly sha256: Digest;
  readonly size: number;
  readonly position: number;
}

/** Everything that an earlier release installs, one content after the other. */
export interface EarlierRelease {
  readonly name: string;
  readonly securityVersion: number;
  readonly bytes: Buffer;
  readonly parts: readonly Part[];
  /** Chunks that an appliance with this release need not fetch. */
  readonly chunks: ReadonlySet<Digest>;
}

/**
 * Unpacks a bundle that was built before, every chunk of it verified.
 * @throws ImageError `base-unusable`
 */
export async function readEarlierRelease(path: string): Promise<EarlierRelease> {
  const file = await open(path, 'r');
  try {
    return await read(file, path);
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    if (cause instanceof BundleError) throw unusable(path, buildTexts.baseForm(cause.message), cause);
    throw unusable(path, buildTexts.baseUnreadable, cause);
  } finally {
    await file.close();
  }
}

function unusable(path: string, what: string, cause?: unknown): ImageError {
  return new ImageError('base-unusable', buildTexts.noBase(path, what), buildTexts.baseNext, { cause });
}

async function read(file: FileHandle, path: string): Promise<EarlierRelease> {
  const { size: end } = await file.stat();
  const { release } = await readBundle({
    size: end,
    read: (position, size) => exactly(file, { position, size }),
  });
  if (release === null) throw unusable(path, buildTexts.baseEmpty);
  const { manifestFrame, chunks: frames } = release;
  const bytes = await unpack(manifestFrame, { maxOutputLength: manifestLimits.manifestBytesMax });
  const reading = readManifest(bytes);
  if (reading.outcome !== 'read') throw unusable(path, buildTexts.baseManifest);
  const { manifest } = reading;
  const raw = async (index: number): Promise<Buffer> => {
    const chunk = manifest.chunks[index];
    if (chunk === undefined) throw unusable(path, buildTexts.baseChunkNotListed);
    const frame = await exactly(file, { position: frames.position + chunk.offset, size: chunk.stored });
    const content = await unpack(frame, { maxOutputLength: chunk.size });
    if (sha256(content) !== chunk.sha256) throw unusable(path, buildTexts.baseChunkDamaged);
    return content;
  };
  const { component, version, securityVersion } = manifest;
  const chunks = new Set(manifest.chunks.map((chunk) => chunk.sha256));
  return { name: `${component} ${version}`, securityVersion, chunks, ...(await contentsOf(manifest, raw)) };
}

async function contentsOf(manifest: Manifest, raw: (index: number) => Promise<Buffer>) {
  const { files, runtime, image } = manifest;
  const contents = [...files, ...(runtime?.files ?? []), ...(image === null ? [] : [image])];
  const pieces: Buffer[] = [];
  const parts: Part[] = [];
  let position = 0;
  for (const { sha256: digest, size, chunks } of contents) {
    if (size === 0 || parts.some((part) => part.sha256 === digest)) continue;
    for (const index of chunks) pieces.push(await raw(index));
    parts.push({ sha256: digest, size, position });
    position += size;
  }
  return { parts, bytes: Buffer.concat(pieces) };
}

async function exactly(file: FileHandle, { position, size }: Place): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await file.read(bytes, 0, size, position);
  if (bytesRead !== size) throw new RangeError(`the file ends before byte ${position + size}`);
  return bytes;
}
