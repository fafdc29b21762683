import { createHash } from 'node:crypto';
import { manifestLimits } from '../../protocol/payload.ts';

/**
 * Finds where the bytes of a chunk come from in an earlier release, wherever they moved to. Both sides are sampled by
 * content (as the chunker cuts), so equal bytes have equal samples. Each pair of equal samples votes for the distance
 * that the bytes moved by, and the distances with most votes give the extents of the dictionary.
 */
export interface Extent {
  readonly position: number;
  readonly length: number;
}

/** One sample in this many bytes, as a power of two: dense enough to find a function that moved within a program. */
const sampleBits = 8;
const windowBytes = 32;
const sampleMask = ~(2 ** (32 - sampleBits) - 1);
/** Distances that differ by less than this count as one: insertions between two samples are small. */
const distanceGrain = 4 * 1024;
/** As large as three chunks: twice as much gains less than a percent, and costs the appliance memory. */
const dictionaryBytes = 1024 * 1024;
/** Added around the place that a distance leads to: insertions push the rest aside. */
const marginBytes = 64 * 1024;

function gearTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) =>
    createHash('sha256').update(`holdfast sample ${byte}`).digest().readInt32BE(0),
  );
}

const gear = gearTable();

/** The positions of samples within `from` and `to`. */
function* samplesOf(bytes: Buffer, from: number, to: number): Generator<number> {
  let hash = 0;
  for (let at = from; at < to; at += 1) {
    hash = ((hash << 1) + (gear[bytes[at] ?? 0] ?? 0)) | 0;
    if ((hash & sampleMask) === 0 && at >= from + windowBytes) yield at;
  }
}

/** The bytes before a sample as one number: places with the same number count as the same bytes. */
function printOf(bytes: Buffer, at: number): number {
  const [a, b, c] = [16, 12, 8].map((back) => bytes.readInt32LE(at - back));
  return Math.imul(a ?? 0, 0x9e3779b1) ^ Math.imul(b ?? 0, 0x85ebca6b) ^ (c ?? 0);
}

export class BaseIndex {
  readonly bytes: Buffer;
  readonly #places = new Map<number, number>();

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    for (const at of samplesOf(bytes, 0, bytes.length)) {
      const print = printOf(bytes, at);
      if (!this.#places.has(print)) this.#places.set(print, at);
    }
  }

  /**
   * The extents of the base that look most like `content` from `from` to `to`, in ascending order, without overlap.
   * @param usual the distance of the previous chunk, for a chunk without votes; the new one is returned with the
   * extents
   */
  extentsFor(content: Buffer, from: number, to: number, usual: number): { extents: Extent[]; distance: number } {
    const votes = this.#votes(content, from, to);
    const distance = votes[0]?.distance ?? usual;
    const total = votes.reduce((sum, { count }) => sum + count, 0);
    const middle = (from + to) / 2;
    const wanted: Extent[] = [];
    let left = dictionaryBytes;
    for (const [rank, { distance: by, count }] of votes.entries()) {
      if (left < marginBytes || wanted.length >= manifestLimits.extentsMax) break;
      const share = rank === 0 ? Math.floor((dictionaryBytes * count) / total) : 0;
      const length = Math.min(left, Math.max(to - from + marginBytes, share));
      wanted.push({ position: Math.round(middle + by - length / 2), length });
      left -= length;
    }
    const [first] = wanted;
    // What is left is taken around the likeliest place.
    if (first === undefined) wanted.push({ position: Math.round(middle + distance - left / 2), length: left });
    else wanted[0] = { position: first.position - Math.floor(left / 2), length: first.length + left };
    return { extents: merged(wanted, this.bytes.length), distance };
  }

  #votes(content: Buffer, from: number, to: number): { distance: number; count: number }[] {
    const counts = new Map<number, number>();
    for (const at of samplesOf(content, from, to)) {
      const place = this.#places.get(printOf(content, at));
      if (place === undefined) continue;
      const distance = Math.round((place - at) / distanceGrain) * distanceGrain;
      counts.set(distance, (counts.get(distance) ?? 0) + 1);
    }
    const votes = [...counts].map(([distance, count]) => ({ distance, count }));
    return votes.sort((a, b) => b.count - a.count || a.distance - b.distance);
  }
}

/** Cut to the bounds of the base, sorted, and joined where they touch. */
function merged(extents: readonly Extent[], bytes: number): Extent[] {
  const joined: Extent[] = [];
  for (const { position, length } of extents.toSorted((a, b) => a.position - b.position)) {
    const start = Math.max(0, position);
    const end = Math.min(bytes, position + length);
    const last = joined.at(-1);
    if (last !== undefined && start <= last.position + last.length) {
      joined[joined.length - 1] = { ...last, length: Math.max(last.length, end - last.position) };
    } else if (end > start) joined.push({ position: start, length: end - start });
  }
  return joined;
}
