import { createHash } from 'node:crypto';

/**
 * Cuts by content (a gear hash, as in FastCDC). Whether a byte ends a chunk depends only on the 32 bytes before it, so
 * an insertion moves no other cut. The numbers are part of the format: a change makes every stored chunk new.
 */
export const chunkBytes = {
  /** Below this, a chunk's entry in the manifest costs more than sharing the chunk saves. */
  min: 64 * 1024,
  /** The expected distance of a cut behind the minimum. */
  expected: 256 * 1024,
  /** Bounds the memory for unpacking a chunk. */
  max: 1024 * 1024,
} as const;

/** The hash shifts by one bit a byte, so a byte is forgotten after 32 of them. */
const windowBytes = 32;
/** The whole window reaches the high bits; 18 of them are zero once in 256 KiB. */
const cutMask = ~(2 ** (32 - Math.log2(chunkBytes.expected)) - 1);

function gearTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) =>
    createHash('sha256').update(`holdfast gear ${byte}`).digest().readInt32BE(0),
  );
}

/** @returns where each chunk of `bytes` ends, in order; the last end is the length. Empty for no bytes. */
export function cutPoints(bytes: Uint8Array): number[] {
  const gear = gearTable();
  const cuts: number[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = Math.min(start + chunkBytes.max, bytes.length);
    start = nextCut(bytes, start, end, gear);
    cuts.push(start);
  }
  return cuts;
}

function nextCut(bytes: Uint8Array, start: number, end: number, gear: Int32Array): number {
  let hash = 0;
  const first = start + chunkBytes.min;
  for (let at = first - windowBytes; at < end; at += 1) {
    hash = ((hash << 1) + (gear[bytes[at] ?? 0] ?? 0)) | 0;
    if ((hash & cutMask) === 0 && at >= first) return at;
  }
  return end;
}
