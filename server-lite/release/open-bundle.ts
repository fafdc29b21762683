import { type FileHandle, open } from 'node:fs/promises';
import { zstdDecompressSync } from 'node:zlib';
import { Header } from 'tar';
import { type Manifest, manifestShape } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { metadataLimits } from '../../protocol/trust/tuf-metadata.ts';
import { Refusal } from '../refusal.ts';

const blockBytes = 512;
/** Entries of a bundle: every root, the targets, the manifest, patches, the chunks. */
const entriesMax = metadataLimits.rootsPerWalkMax + 4;

interface Entry {
  readonly position: number;
  readonly size: number;
}

/** A bundle's parts, read but not yet trusted. */
export interface OpenedBundle {
  readonly file: FileHandle;
  readonly bytes: number;
  /** `1.root.json` first, without gaps. */
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
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
export async function openBundle(path: string): Promise<OpenedBundle> {
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
    const roots: Buffer[] = [];
    for (let version = 1; entries.has(`metadata/${version}.root.json`); version += 1) {
      roots.push(await part(`metadata/${version}.root.json`, metadataLimits.rootBytesMax));
    }
    const targets = await part('metadata/targets.json', metadataLimits.targetsBytesMax);
    const manifestBytes = unpackManifest(await part('manifest.json.zst', manifestLimits.manifestFrameBytesMax));
    const patches = entries.get('patches') ?? null;
    const chunks = entries.get('chunks');
    if (chunks === undefined) throw malformedBundle('it has no chunks');
    if (roots.length === 0) throw malformedBundle('it has no metadata/1.root.json');
    if (entries.size !== roots.length + (patches === null ? 3 : 4))
      throw malformedBundle('it has entries that do not belong there');
    return { file, bytes, roots, targets, manifestBytes, manifest: parseManifest(manifestBytes), chunks, patches };
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
    const { path, size } = readHeader(block, position);
    if (entries.has(path)) throw malformedBundle(`it has two entries ${JSON.stringify(path.slice(0, 80))}`);
    position += blockBytes;
    if (position + size > bytes) throw malformedBundle('it ends too early');
    entries.set(path, { position, size });
    const padding = (blockBytes - (size % blockBytes)) % blockBytes;
    if (!isZero(await readExactly(file, position + size, padding))) throw malformedBundle(`something follows ${path}`);
    position += size + padding;
  }
  throw malformedBundle('it has too many entries');
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** The format knows one header for a name and a size; any other bytes are damage, even where tar would not mind. */
function readHeader(block: Buffer, position: number): { readonly path: string; readonly size: number } {
  const { path, size } = new Header(block, 0);
  if (path !== undefined && size !== undefined && size >= 0) {
    const expected = Buffer.alloc(blockBytes);
    const plain = { path, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), type: 'File' } as const;
    const needsMore = new Header(plain).encode(expected);
    if (!needsMore && expected.equals(block)) return { path, size };
  }
  throw malformedBundle(`the header at byte ${position} is not one of a plain file`);
}

function unpackManifest(frame: Buffer): Buffer {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: manifestLimits.manifestBytesMax });
  } catch (cause) {
    throw malformedBundle('its manifest can not be unpacked', cause);
  }
}

function parseManifest(bytes: Buffer): Manifest {
  try {
    return manifestShape.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw malformedBundle('its manifest is not one', cause);
  }
}
