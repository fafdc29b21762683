import type { Layout } from '../../protocol/layout.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Chunk } from '../../protocol/payload.ts';
import type { Files } from '../effects/files.ts';
import { type ChunkPlace, type ChunkStore, chunkStore, workDirectory } from './chunk-store.ts';
import { release, unpackFrame } from './frame.ts';
import type { Bundle } from './open-bundle.ts';
import { asReleaseError, ReleaseError } from './release-error.ts';
import { verifyRuntime } from './verify-slot.ts';

/** One ranged read: few requests, and a range that breaks is asked for again from the chunk that it broke in. */
const rangeBytesMax = 8 * 1024 * 1024;
/** Bytes that nobody needs, read over rather than asked around: less than a round trip costs on a slow line. */
const gapBytesMax = 32 * 1024;

export interface Fetched {
  /** Bytes of frames that came from the bundle. */
  readonly fetchedBytes: number;
  /** Raw bytes that were here already: fetched before an interruption, or part of what is installed. */
  readonly reusedBytes: number;
}

/**
 * Brings every chunk that is missing here into work/<tx>/. May be repeated: what is verified is not fetched again.
 * @throws ReleaseError
 */
export async function fetchChunks(
  place: Omit<ChunkPlace, 'bundle'>,
  manifest: Manifest,
  bundle: Bundle,
): Promise<Fetched> {
  const { files, layout, tx } = place;
  try {
    files.makeDirectory(layout.work, 0o700);
    files.makeDirectory(workDirectory(layout, tx), 0o700);
    files.syncDirectory(layout.work);
    const store = chunkStore({ ...place, bundle: null });
    const needed = neededChunks(files, layout, manifest);
    const missing = needed.filter((chunk) => !isHere(store, chunk)).sort((a, b) => a.offset - b.offset);
    for (const range of ranges(missing)) await fetchRange(bundle, range, store);
    const wanted = new Set(missing);
    return {
      fetchedBytes: missing.reduce((sum, chunk) => sum + chunk.stored, 0),
      reusedBytes: needed.reduce((sum, chunk) => sum + (wanted.has(chunk) ? 0 : chunk.size), 0),
    };
  } catch (error) {
    throw asReleaseError(error, `fetching ${manifest.component} ${manifest.version}`);
  }
}

function isHere(store: ChunkStore, chunk: Chunk): boolean {
  const raw = store.read(chunk);
  if (raw !== null) release(raw);
  return raw !== null;
}

/** Chunks of the slot, and of the runtime unless it is here, whole; each once. */
function neededChunks(files: Files, layout: Layout, manifest: Manifest): Chunk[] {
  const { runtime } = manifest;
  const runtimeFiles = runtime === null || verifyRuntime(files, layout, runtime.digest).sound ? [] : runtime.files;
  const contents = [...manifest.files, ...runtimeFiles, ...(manifest.image === null ? [] : [manifest.image])];
  const indexes = new Set(contents.flatMap(({ chunks }) => chunks));
  return [...indexes].flatMap((index) => manifest.chunks[index] ?? []);
}

/** Joins what lies close together. */
function ranges(chunks: readonly Chunk[]): Chunk[][] {
  const joined: Chunk[][] = [];
  for (const chunk of chunks) {
    const range = joined.at(-1);
    const first = range?.[0];
    const last = range?.at(-1);
    const fits =
      first !== undefined &&
      last !== undefined &&
      chunk.offset - (last.offset + last.stored) <= gapBytesMax &&
      chunk.offset + chunk.stored - first.offset <= rangeBytesMax;
    if (fits) range?.push(chunk);
    else joined.push([chunk]);
  }
  return joined;
}

/** Verifies and keeps each chunk as soon as its last byte is here. One frame is in memory at a time. */
async function fetchRange(bundle: Bundle, range: readonly Chunk[], store: ChunkStore): Promise<void> {
  const first = range[0];
  const last = range.at(-1);
  if (first === undefined || last === undefined) return;
  const frame = Buffer.allocUnsafe(Math.max(...range.map(({ stored }) => stored)));
  /** Offset of the next byte to arrive. */
  let offset = first.offset;
  let next = 0;
  const take = (piece: Buffer): void => {
    let rest = piece;
    for (let chunk = range[next]; chunk !== undefined && rest.length > 0; chunk = range[next]) {
      // Before the chunk lies a gap, which is stepped over.
      const wanted = offset < chunk.offset ? chunk.offset - offset : chunk.offset + chunk.stored - offset;
      const part = rest.subarray(0, wanted);
      if (offset >= chunk.offset) part.copy(frame, offset - chunk.offset);
      offset += part.length;
      rest = rest.subarray(part.length);
      if (offset < chunk.offset + chunk.stored) continue;
      const whole = frame.subarray(0, chunk.stored);
      release(unpackFrame(whole, chunk));
      store.keep(chunk, whole);
      next += 1;
    }
  };
  await bundle.source.stream(bundle.chunks.position + first.offset, last.offset + last.stored - first.offset, take);
  if (next < range.length) throw new ReleaseError('truncated', `${bundle.source.name} ends within a chunk`);
}
