import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { blockBytes, readBundleHeader } from '../../protocol/bundle-header.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { ImageError } from '../errors.ts';

const unpack = promisify(zstdDecompress);

/** One content of an earlier release, where it lies among all of them. */
export interface Part {
  readonly sha256: Digest;
  readonly size: number;
  readonly position: number;
}

/** All that an earlier release installs, one content behind the other. */
export interface EarlierRelease {
  readonly name: string;
  readonly bytes: Buffer;
  readonly parts: readonly Part[];
  /** Chunks that whoever has it need not fetch at all. */
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
    throw unusable(path, 'it can not be read as a bundle', cause);
  } finally {
    await file.close();
  }
}

function unusable(path: string, what: string, cause?: unknown): ImageError {
  const next = 'give the bundle of a release that appliances have, as it was built';
  return new ImageError('base-unusable', `${path} can not be a base: ${what}`, next, { cause });
}

async function read(file: FileHandle, path: string): Promise<EarlierRelease> {
  const entries = await entriesOf(file, path);
  const packed = entries.get('manifest.json.zst');
  const frames = entries.get('chunks');
  if (packed === undefined || frames === undefined) throw unusable(path, 'it has no manifest or no chunks');
  const bytes = await unpack(await exactly(file, packed), { maxOutputLength: manifestLimits.manifestBytesMax });
  const reading = readManifest(bytes);
  if (reading.outcome !== 'read') throw unusable(path, 'its manifest is not one of this version');
  const { manifest } = reading;
  const raw = async (index: number): Promise<Buffer> => {
    const chunk = manifest.chunks[index];
    if (chunk === undefined) throw unusable(path, 'a chunk is not listed');
    const frame = await exactly(file, { position: frames.position + chunk.offset, size: chunk.stored });
    const content = await unpack(frame, { maxOutputLength: chunk.size });
    if (sha256(content) !== chunk.sha256) throw unusable(path, 'a chunk of it is damaged');
    return content;
  };
  const { component, version } = manifest;
  const chunks = new Set(manifest.chunks.map((chunk) => chunk.sha256));
  return { name: `${component} ${version}`, chunks, ...(await contentsOf(manifest, raw)) };
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

interface Place {
  readonly position: number;
  readonly size: number;
}

async function entriesOf(file: FileHandle, path: string): Promise<Map<string, Place>> {
  const entries = new Map<string, Place>();
  const { size: end } = await file.stat();
  for (let position = 0; position + blockBytes <= end && !entries.has('chunks'); ) {
    const header = readBundleHeader(await exactly(file, { position, size: blockBytes }));
    if (header === null) throw unusable(path, `it has no header at byte ${position}`);
    entries.set(header.name, { position: position + blockBytes, size: header.size });
    position += blockBytes + Math.ceil(header.size / blockBytes) * blockBytes;
  }
  return entries;
}

async function exactly(file: FileHandle, { position, size }: Place): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await file.read(bytes, 0, size, position);
  if (bytesRead !== size) throw new RangeError(`the file ends before byte ${position + size}`);
  return bytes;
}
