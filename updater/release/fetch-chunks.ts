import type { Layout } from '../../protocol/layout.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Chunk, Patch } from '../../protocol/payload.ts';
import type { Files } from '../effects/files.ts';
import { asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import { type ChunkPlace, type ChunkStore, chunkStore, workDirectory } from './chunk-store.ts';
import { release } from './frame.ts';
import type { Bundle } from './open-bundle.ts';
import { verifyRuntime } from './verify-slot.ts';

/**
 * The size of one ranged read: few requests, and a broken range is requested again from the chunk in which it broke.
 */
const rangeBytesMax = 8 * 1024 * 1024;
/**
 * A gap of unneeded bytes up to this size is read, not skipped: that costs less than a round trip on a slow connection.
 */
const gapBytesMax = 32 * 1024;

/** More sources than can be named. */
const sourcesMax = 16;

export interface Fetched {
  /** Bytes of frames that came from the bundle. */
  readonly fetchedBytes: number;
  /** Raw bytes that were already here: fetched before an interruption, or part of what is installed. */
  readonly reusedBytes: number;
}

/**
 * Brings every missing chunk into work/<tx>/. May be repeated: verified chunks are not fetched again.
 * @throws ReleaseError
 */
export async function fetchChunks(
  place: Omit<ChunkPlace, 'bundle' | 'bases'>,
  manifest: Manifest,
  bundle: Bundle,
): Promise<Fetched> {
  const { files, layout, tx } = place;
  try {
    files.makeDirectory(layout.work, 0o700);
    files.makeDirectory(workDirectory(layout, tx), 0o700);
    files.syncDirectory(layout.work);
    const store = chunkStore({ ...place, bases: manifest.bases, bundle: null });
    const { needed, missing, patches, patched } = planChunks(store, place, manifest, bundle);
    // A base may have rotted: a chunk that its patch does not give is fetched whole.
    const failed = await fetchPieces(bundle, bundle.patches, patches, store);
    const chunks = wholePieces(missing.filter((chunk) => !patched.has(chunk) || failed.has(chunk)));
    await fetchPieces(bundle, bundle.chunks, chunks, store);
    return { fetchedBytes: storedBytes([...patches, ...chunks]), reusedBytes: rawBytes(needed) - rawBytes(missing) };
  } catch (error) {
    throw asReleaseError(error, releaseTexts.fetching(manifest.component, manifest.version));
  }
}

interface ChunkPlan {
  readonly needed: readonly Chunk[];
  readonly missing: readonly Chunk[];
  readonly patches: readonly Piece[];
  /** The missing chunks that a patch gives. */
  readonly patched: ReadonlySet<Chunk>;
}

/** Which chunks are here, by hash, and which of the others a patch gives. */
function planChunks(
  store: ChunkStore,
  { files, layout }: Pick<ChunkPlace, 'files' | 'layout'>,
  manifest: Manifest,
  bundle: Bundle,
): ChunkPlan {
  const needed = neededChunks(files, layout, manifest);
  const missing = needed.filter((chunk) => !isHere(store, chunk));
  const patches = missing.flatMap((chunk) => patchPiece(store, bundle, chunk) ?? []);
  return { needed, missing, patches, patched: new Set(patches.map(({ chunk }) => chunk)) };
}

/** What {@link fetchChunks} would find and fetch if no patch fails; nothing is fetched. */
export function plannedChunks(
  place: Omit<ChunkPlace, 'bundle' | 'bases'>,
  manifest: Manifest,
  bundle: Bundle,
): Fetched {
  const store = chunkStore({ ...place, bases: manifest.bases, bundle: null });
  const { needed, missing, patches, patched } = planChunks(store, place, manifest, bundle);
  const whole = wholePieces(missing.filter((chunk) => !patched.has(chunk)));
  return { fetchedBytes: storedBytes([...patches, ...whole]), reusedBytes: rawBytes(needed) - rawBytes(missing) };
}

const storedBytes = (pieces: readonly Piece[]): number => pieces.reduce((sum, { stored }) => sum + stored, 0);
const rawBytes = (chunks: readonly Chunk[]): number => chunks.reduce((sum, { size }) => sum + size, 0);
const wholePieces = (chunks: readonly Chunk[]): Piece[] =>
  chunks.map((chunk) => ({ ...pick(chunk), chunk, patch: null }));

/** One frame to fetch: of a chunk, or of a patch that makes the chunk from what is here. */
interface Piece {
  readonly chunk: Chunk;
  readonly patch: Patch | null;
  /** Its position within its entry of the bundle. */
  readonly offset: number;
  readonly stored: number;
}

const pick = ({ offset, stored }: Pick<Piece, 'offset' | 'stored'>) => ({ offset, stored });

function patchPiece(store: ChunkStore, bundle: Bundle, chunk: Chunk): Piece | null {
  const patch = bundle.patches === null ? null : store.patchFor(chunk);
  return patch === null ? null : { ...pick(patch), chunk, patch };
}

/** @returns the chunks whose patches did not give them. @throws ReleaseError `bad-chunk` for a whole chunk */
async function fetchPieces(
  bundle: Bundle,
  entry: Bundle['chunks'] | null,
  pieces: readonly Piece[],
  store: ChunkStore,
): Promise<Set<Chunk>> {
  const failed = new Set<Chunk>();
  if (entry === null) return failed;
  const kept = new Set<Piece>();
  const arrived = (piece: Piece, frame: Buffer): void => {
    const { chunk, patch } = piece;
    try {
      store.keep(chunk, patch, frame);
    } catch (error) {
      if (patch === null || !isBadChunk(error)) throw error;
      failed.add(chunk);
    }
    kept.add(piece);
  };
  const sorted = pieces.toSorted((a, b) => a.offset - b.offset);
  for (let tried = 0; tried < sourcesMax; tried += 1) {
    const left = sorted.filter((piece) => !kept.has(piece));
    try {
      for (const range of bundle.source.wholeOnly === true ? [left] : ranges(left)) {
        await fetchRange(bundle, entry, range, arrived);
      }
      return failed;
    } catch (error) {
      // A source that sends unsigned bytes is not asked again; verified chunks stay.
      if (!isBadChunk(error) || (await bundle.source.distrust?.()) !== true) throw error;
    }
  }
  throw new ReleaseError('bad-chunk', releaseTexts.noSourceSends);
}

function isBadChunk(error: unknown): boolean {
  return error instanceof ReleaseError && error.code === 'bad-chunk';
}

function isHere(store: ChunkStore, chunk: Chunk): boolean {
  const raw = store.read(chunk);
  if (raw !== null) release(raw);
  return raw !== null;
}

/** Chunks of the slot, and of the runtime unless it is here and whole; each once. */
function neededChunks(files: Files, layout: Layout, manifest: Manifest): Chunk[] {
  const { runtime } = manifest;
  const runtimeFiles = runtime === null || verifyRuntime(files, layout, runtime.digest).sound ? [] : runtime.files;
  const contents = [...manifest.files, ...runtimeFiles, ...(manifest.image === null ? [] : [manifest.image])];
  const indexes = new Set(contents.flatMap(({ chunks }) => chunks));
  return [...indexes].flatMap((index) => manifest.chunks[index] ?? []);
}

/** Joins pieces that are close together. */
function ranges(pieces: readonly Piece[]): Piece[][] {
  const joined: Piece[][] = [];
  for (const piece of pieces) {
    const range = joined.at(-1);
    const first = range?.[0];
    const last = range?.at(-1);
    const fits =
      first !== undefined &&
      last !== undefined &&
      piece.offset - (last.offset + last.stored) <= gapBytesMax &&
      piece.offset + piece.stored - first.offset <= rangeBytesMax;
    if (fits) range?.push(piece);
    else joined.push([piece]);
  }
  return joined;
}

/** Delivers each frame as soon as its last byte has arrived. Only one is in memory at a time. */
async function fetchRange(
  bundle: Bundle,
  entry: Bundle['chunks'],
  range: readonly Piece[],
  arrived: (piece: Piece, frame: Buffer) => void,
): Promise<void> {
  const first = range[0];
  const last = range.at(-1);
  if (first === undefined || last === undefined) return;
  const frame = Buffer.allocUnsafeSlow(Math.max(...range.map(({ stored }) => stored)));
  /** Offset of the next byte to arrive. */
  let offset = first.offset;
  let next = 0;
  const take = (bytes: Buffer): void => {
    let rest = bytes;
    for (let piece = range[next]; piece !== undefined && rest.length > 0; piece = range[next]) {
      // A gap before the piece is skipped.
      const wanted = offset < piece.offset ? piece.offset - offset : piece.offset + piece.stored - offset;
      const part = rest.subarray(0, wanted);
      if (offset >= piece.offset) part.copy(frame, offset - piece.offset);
      offset += part.length;
      rest = rest.subarray(part.length);
      if (offset < piece.offset + piece.stored) continue;
      arrived(piece, frame.subarray(0, piece.stored));
      next += 1;
    }
  };
  await bundle.source.stream(entry.position + first.offset, last.offset + last.stored - first.offset, take);
  if (next < range.length) throw new ReleaseError('truncated', releaseTexts.endsWithinChunk(bundle.source.name));
  release(frame);
}
