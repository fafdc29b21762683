import { blockBytes, readBundleHeader } from './bundle-header.ts';
import { manifestLimits } from './payload.ts';
import { metadataLimits } from './trust/metadata-limits.ts';

/**
 * The one reader of bundles. A bundle is a plain tar (POSIX ustar) of exactly these entries, in this order: the root
 * chain, the targets and, unless it carries only metadata, the manifest, the frames of patches if there are any, and
 * the chunks.
 */
const rootName = /^metadata\/([1-9]\d{0,8})\.root\.json$/;
const order = ['metadata/targets.json', 'manifest.json.zst', 'patches', 'chunks'] as const;
type EntryName = (typeof order)[number];
const entryBytesMax: Readonly<Record<EntryName, number>> = {
  'metadata/targets.json': metadataLimits.targetsBytesMax,
  'manifest.json.zst': manifestLimits.manifestFrameBytesMax,
  patches: manifestLimits.payloadBytesMax,
  chunks: manifestLimits.payloadBytesMax,
};
/** POSIX ends a tar with two blocks of zeros; writers may fill a record of 20 blocks. */
const trailerBytesMin = 2 * blockBytes;
const trailerBytesMax = 20 * blockBytes;

/** Where a bundle is read from: a file, or a server that answers ranges. Nothing is read beyond `size`. */
export interface BundleSource {
  readonly size: number;
  read(position: number, bytes: number): Promise<Buffer>;
}

/** Bytes within the bundle. */
export interface Place {
  readonly position: number;
  readonly size: number;
}

/** What a bundle consists of, read but not yet trusted. */
export interface BundleParts {
  /** The root chain that it carries, by rising version, without a gap; it may begin with any version. */
  readonly roots: readonly { readonly version: number; readonly bytes: Buffer }[];
  readonly targets: Buffer;
  /** null: a bundle of metadata only. */
  readonly release: { readonly manifestFrame: Buffer; readonly patches: Place | null; readonly chunks: Place } | null;
  /** The zeros that end it. */
  readonly trailerBytes: number;
}

/** A fault in the form of a bundle. The message continues a sentence that begins with the name of the bundle. */
export class BundleError extends Error {
  readonly code: 'not-a-bundle' | 'bad-bundle' | 'truncated';

  constructor(code: BundleError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const bad = (what: string) => new BundleError('bad-bundle', what);
const truncated = ({ size }: BundleSource) =>
  new BundleError('truncated', `ends after ${size} bytes, in the middle of the bundle`);

interface Entry extends Place {
  readonly name: string;
}

/**
 * Reads everything of a bundle but its frames. It verifies only the form: no other entries, no duplicates, nothing
 * between or after them.
 * @throws BundleError, and whatever the source throws
 */
export async function readBundle(source: BundleSource): Promise<BundleParts> {
  const roots: { version: number; bytes: Buffer }[] = [];
  let entry = await entryAt(source, 0);
  for (let match = rootName.exec(entry.name); match !== null; match = rootName.exec(entry.name)) {
    const version = Number(match[1]);
    const before = roots.at(-1)?.version;
    if (roots.length >= metadataLimits.rootsPerWalkMax) throw bad('carries too many roots');
    if (before !== undefined && version !== before + 1) throw bad('carries roots that do not follow each other');
    roots.push({ version, bytes: await content(source, entry, metadataLimits.rootBytesMax) });
    entry = await entryAt(source, await endOf(source, entry));
  }
  requireName(entry, 'metadata/targets.json');
  const targets = await content(source, entry, entryBytesMax['metadata/targets.json']);
  const behind = await endOf(source, entry);
  if (await isEnd(source, behind))
    return { roots, targets, release: null, trailerBytes: await requireEnd(source, entry) };
  entry = await entryAt(source, behind);
  requireName(entry, 'manifest.json.zst');
  const manifestFrame = await content(source, entry, entryBytesMax['manifest.json.zst']);
  entry = await entryAt(source, await endOf(source, entry));
  let patches: Place | null = null;
  if (entry.name === 'patches') {
    patches = placeOf(entry, 'patches');
    entry = await entryAt(source, await endOf(source, entry));
  }
  const release = { manifestFrame, patches, chunks: placeOf(entry, 'chunks') };
  return { roots, targets, release, trailerBytes: await requireEnd(source, entry) };
}

async function blockAt(source: BundleSource, position: number): Promise<Buffer> {
  if (position + blockBytes > source.size) throw truncated(source);
  return source.read(position, blockBytes);
}

async function entryAt(source: BundleSource, position: number): Promise<Entry> {
  const header = readBundleHeader(await blockAt(source, position));
  if (header !== null) return { ...header, position: position + blockBytes };
  if (position === 0) throw new BundleError('not-a-bundle', 'is not a bundle');
  throw bad(`has something at byte ${position} that is not the header of a plain file`);
}

/** Only when no more than a trailer follows: no block of a release on a server is fetched twice. */
async function isEnd(source: BundleSource, position: number): Promise<boolean> {
  return source.size <= position + trailerBytesMax && isZero(await blockAt(source, position));
}

function requireName(entry: Entry, name: EntryName): void {
  if (entry.name !== name) throw bad(`has ${JSON.stringify(entry.name)} where ${name} belongs`);
}

function placeOf(entry: Entry, name: EntryName): Place {
  requireName(entry, name);
  if (entry.size > entryBytesMax[name]) throw bad(`has ${name} of ${entry.size} bytes`);
  return { position: entry.position, size: entry.size };
}

async function content(source: BundleSource, { name, position, size }: Entry, bytesMax: number): Promise<Buffer> {
  if (size > bytesMax) throw bad(`has ${name} of ${size} bytes, ${bytesMax} are allowed`);
  if (position + size > source.size) throw truncated(source);
  return Buffer.from(await source.read(position, size));
}

/** Where the next header starts. The bytes that fill the last block must be zeros: nothing can hide there. */
async function endOf(source: BundleSource, { name, position, size }: Entry): Promise<number> {
  const filling = (blockBytes - (size % blockBytes)) % blockBytes;
  const end = position + size + filling;
  if (end > source.size) throw truncated(source);
  if (filling > 0 && !isZero(await source.read(position + size, filling))) throw bad(`hides bytes behind ${name}`);
  return end;
}

/** @returns the bytes of the trailer */
async function requireEnd(source: BundleSource, last: Entry): Promise<number> {
  const end = last.position + Math.ceil(last.size / blockBytes) * blockBytes;
  if (source.size < end + trailerBytesMin) throw truncated(source);
  if (source.size > end + trailerBytesMax) throw bad('has something behind its end');
  // The rest of the last block and the trailer in one read: over HTTP that is one request.
  const behind = last.position + last.size;
  if (!isZero(await source.read(behind, source.size - behind))) throw bad('has something behind its end');
  return source.size - end;
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
