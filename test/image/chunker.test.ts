import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chunkBytes, cutPoints } from '../../image/chunker.ts';
import { sha256 } from '../../protocol/digest.ts';

/** Bytes without a pattern, the same in each run. */
function noise(seed: string, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

function digestsOf(bytes: Buffer): string[] {
  let start = 0;
  return cutPoints(bytes).map((end) => {
    const digest = sha256(bytes.subarray(start, end));
    start = end;
    return digest;
  });
}

describe('cutting by content', () => {
  const bytes = noise('a', 6_000_000);

  it('covers all bytes with chunks within the bounds', () => {
    const cuts = cutPoints(bytes);
    const sizes = cuts.map((end, i) => end - (cuts[i - 1] ?? 0));
    expect(cuts.at(-1)).toBe(bytes.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(chunkBytes.max);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(chunkBytes.min);
    expect(cuts.length).toBeGreaterThan(10);
  });

  it('cuts where it always cut, so that chunks of old releases stay shared', () => {
    expect(cutPoints(bytes).slice(0, 4)).toMatchInlineSnapshot(`
      [
        416237,
        483588,
        549785,
        698391,
      ]
    `);
  });

  it('shifts nothing behind an insertion', () => {
    const before = new Set(digestsOf(bytes));
    const changed = Buffer.concat([bytes.subarray(0, 1_000_000), Buffer.from('inserted'), bytes.subarray(1_000_000)]);
    const fresh = digestsOf(changed).filter((digest) => !before.has(digest));
    expect(fresh.length).toBeLessThanOrEqual(2);
  });

  it('makes no chunk of nothing, one of a little, and full ones where nothing ever cuts', () => {
    expect(cutPoints(Buffer.alloc(0))).toEqual([]);
    expect(cutPoints(Buffer.from('x'))).toEqual([1]);
    expect(cutPoints(Buffer.alloc(chunkBytes.max + 1, 7))).toEqual([chunkBytes.max, chunkBytes.max + 1]);
  });
});
