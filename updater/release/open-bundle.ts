import { blockBytes, readBundleHeader } from '../../protocol/bundle-header.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import type { ByteSource } from './byte-source.ts';
import { unpackPlainFrame } from './frame.ts';
import { ReleaseError } from './release-error.ts';

/** A bundle: a plain tar (POSIX ustar) of exactly these entries, in this order. */
const rootName = /^metadata\/([1-9]\d{0,8})\.root\.json$/;
const order = ['metadata/targets.json', 'manifest.json.zst', 'patches', 'chunks'] as const;
type EntryName = (typeof order)[number];

/** POSIX ends a tar with two blocks of zeros; writers may fill up a record of 20 blocks. */
const trailerBytesMin = 2 * blockBytes;
const trailerBytesMax = 20 * blockBytes;
const entryBytesMax: Readonly<Record<EntryName, number>> = {
  'metadata/targets.json': metadataLimits.targetsBytesMax,
  'manifest.json.zst': manifestLimits.manifestFrameBytesMax,
  patches: manifestLimits.payloadBytesMax,
  chunks: manifestLimits.payloadBytesMax,
};

export interface Bundle {
  readonly source: ByteSource;
  /** The root chain that the bundle carries, by rising version. */
  readonly roots: readonly { readonly version: number; readonly bytes: Buffer }[];
  readonly targets: Buffer;
  readonly manifestBytes: Buffer;
  /** Where the frames are, and the frames of patches; null without any. */
  readonly chunks: Place;
  readonly patches: Place | null;
}

/** Bytes within the bundle. */
export interface Place {
  readonly position: number;
  readonly size: number;
}

interface Entry extends Place {
  readonly name: string;
}

/**
 * Reads everything of a bundle but its chunks. Nothing of it is verified yet, only its form: no other entries, no
 * duplicates, nothing between or behind them.
 * @throws ReleaseError `not-a-bundle`, `bad-bundle`, `truncated`
 */
export async function openBundle(source: ByteSource): Promise<Bundle> {
  const readHeader = async (position: number): Promise<Entry> => {
    if (position + blockBytes > source.size) throw truncated(source);
    return entryOf(source, position, await source.read(position, blockBytes));
  };
  const roots: { version: number; bytes: Buffer }[] = [];
  let entry = await readHeader(0);
  for (let match = rootName.exec(entry.name); match !== null; match = rootName.exec(entry.name)) {
    const version = Number(match[1]);
    const before = roots.at(-1)?.version;
    if (roots.length >= metadataLimits.rootsPerWalkMax) throw bad(source, 'carries too many roots');
    if (before !== undefined && version !== before + 1)
      throw bad(source, 'carries roots that do not follow each other');
    roots.push({ version, bytes: await content(source, entry, metadataLimits.rootBytesMax) });
    entry = await readHeader(await endOf(source, entry));
  }
  const small: Buffer[] = [];
  let patches: Place | null = null;
  for (const name of order) {
    if (name === 'patches' && entry.name === 'chunks') continue;
    if (entry.name !== name) throw bad(source, `has ${JSON.stringify(entry.name)} where ${name} belongs`);
    if (entry.size > entryBytesMax[name]) throw bad(source, `has ${name} of ${entry.size} bytes`);
    if (name === 'chunks') break;
    if (name === 'patches') patches = { position: entry.position, size: entry.size };
    else small.push(await content(source, entry, entryBytesMax[name]));
    entry = await readHeader(await endOf(source, entry));
  }
  const [targets, manifestFrame] = small;
  if (targets === undefined || manifestFrame === undefined) throw bad(source, 'has no targets or no manifest');
  await requireEnd(source, entry);
  const manifestBytes = unpackManifest(source, manifestFrame);
  return { source, roots, targets, manifestBytes, chunks: { position: entry.position, size: entry.size }, patches };
}

/** The signed digest is that of the raw bytes, so how they were packed does not matter to anybody's trust. */
function unpackManifest(source: ByteSource, frame: Buffer): Buffer {
  try {
    return unpackPlainFrame({ frame, sizeMax: manifestLimits.manifestBytesMax });
  } catch (cause) {
    throw new ReleaseError('bad-bundle', `${source.name} has a manifest that can not be unpacked`, { cause });
  }
}

const bad = (source: ByteSource, what: string) => new ReleaseError('bad-bundle', `${source.name} ${what}`);
const truncated = (source: ByteSource) =>
  new ReleaseError('truncated', `${source.name} ends after ${source.size} bytes, in the middle of the bundle`);

function entryOf(source: ByteSource, position: number, block: Buffer): Entry {
  const header = readBundleHeader(block);
  if (header !== null) return { ...header, position: position + blockBytes };
  if (position === 0) throw new ReleaseError('not-a-bundle', `${source.name} is not a bundle`);
  throw bad(source, `has something at byte ${position} that is not the header of a plain file`);
}

async function content(source: ByteSource, entry: Entry, bytesMax: number): Promise<Buffer> {
  if (entry.size > bytesMax) throw bad(source, `has ${entry.name} of ${entry.size} bytes, ${bytesMax} are allowed`);
  if (entry.position + entry.size > source.size) throw truncated(source);
  return Buffer.from(await source.read(entry.position, entry.size));
}

/** Where the next header starts. The bytes that fill up the last block must be zeros: nothing hides there. */
async function endOf(source: ByteSource, { name, position, size }: Entry): Promise<number> {
  const filling = (blockBytes - (size % blockBytes)) % blockBytes;
  const end = position + size + filling;
  if (end > source.size) throw truncated(source);
  if (filling > 0 && !isZero(await source.read(position + size, filling)))
    throw bad(source, `hides bytes behind ${name}`);
  return end;
}

async function requireEnd(source: ByteSource, chunks: Entry): Promise<void> {
  const end = chunks.position + Math.ceil(chunks.size / blockBytes) * blockBytes;
  if (source.size < end + trailerBytesMin) throw truncated(source);
  if (source.size > end + trailerBytesMax) throw bad(source, 'has something behind its end');
  // The filling of the last block and the trailer in one read: over HTTP that is one request.
  const behind = chunks.position + chunks.size;
  if (!isZero(await source.read(behind, source.size - behind))) throw bad(source, 'has something behind its end');
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
