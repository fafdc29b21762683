import { describe, expect, it } from 'vitest';
import { untold } from '../../../server-lite/rules/words.ts';

describe('a list beside a sentence', () => {
  const sentence =
    'failed: harbour-1: 1.0.53 was rolled back, because its work stood still (stalled): still for 3 s. 0 of 3 have proven it, and it failed on 1 (harbour-1).';
  const stalled = '1.0.53 was rolled back, because its work stood still (stalled): still for 3 s.';

  it('leaves out whom the sentence names with that reason', () => {
    expect(untold(sentence, [{ name: 'harbour-1', why: stalled }])).toEqual([]);
  });

  it('keeps another one, and another reason', () => {
    const others = [
      { name: 'harbour-2', why: stalled },
      { name: 'harbour-1', why: '1.0.53 crashed at each of its starts' },
    ];
    expect(untold(sentence, others)).toEqual(others);
  });
});
