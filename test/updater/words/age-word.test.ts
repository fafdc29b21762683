import { describe, expect, it } from 'vitest';
import { ageHOf, ageTyped, ageWord } from '../../../updater/words/age-word.ts';

const hourMs = 60 * 60_000;

describe('the age of data of before', () => {
  it.each([
    [0, '0h'],
    [59 * 60_000, '0h'],
    [7.9 * hourMs, '7h'],
    [47.9 * hourMs, '47h'],
    [48 * hourMs, '2d'],
    [(5 * 24 + 23) * hourMs, '5d'],
  ])('of %d ms is said as %s, and what is said is what has to be typed', (ms, word) => {
    expect(ageWord(ageHOf(ms))).toBe(word);
    expect(ageTyped(word)).toBe(ageHOf(ms));
  });

  it('may be typed as a person types', () => {
    expect([' 5D ', '5 d', '120h'].map(ageTyped)).toEqual([120, 120, 120]);
  });

  it.each(['', '5', 'd', '-5d', '5.5d', '5w', '5d5h', '9999999d'])('is not %j', (text) => {
    expect(ageTyped(text)).toBeNull();
  });
});
