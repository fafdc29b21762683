import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headAndTail } from '../../agent/text.ts';

describe('headAndTail', () => {
  it('leaves a text that fits as it is', () => {
    expect(headAndTail('the pump is dry', 2_000)).toBe('the pump is dry');
  });

  it('S32: keeps the first and the last words of a long text', () => {
    const kept = headAndTail(`cause: no disk ${'x'.repeat(10_000)} at last: gave up`, 2_000);
    expect(kept.startsWith('cause: no disk')).toBe(true);
    expect(kept.endsWith('at last: gave up')).toBe(true);
    expect(kept.length).toBeLessThanOrEqual(2_000);
  });

  it('fits its bound, as JSON too, for any text', () => {
    const text = fc.string({ unit: 'binary', maxLength: 3_000 });
    fc.assert(
      fc.property(text, fc.integer({ min: 20, max: 500 }), (long, max) => {
        const kept = headAndTail(long, max);
        expect(kept.length).toBeLessThanOrEqual(max);
        expect(Buffer.byteLength(JSON.stringify(kept))).toBeLessThanOrEqual(max + 2);
      }),
      { numRuns: 300 },
    );
    expect(Buffer.byteLength(JSON.stringify(headAndTail('\u0000'.repeat(9_000), 2_000)))).toBeLessThanOrEqual(2_002);
  });
});
