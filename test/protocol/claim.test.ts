import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clampDelayS, delayMaxS } from '../../protocol/check-in.ts';
import { claimShape, decodeClaim, encodeClaim } from '../../protocol/claim.ts';
import { readExample } from './examples.ts';

const codeShape = z.object({ code: z.string(), claim: claimShape });
const frozen = codeShape.parse(readExample('claim-code.https'));
const byKey = codeShape.parse(readExample('claim-code.by-key'));
const refusal = expect.objectContaining({ code: 'claim-code-invalid' });

describe('a claim code', () => {
  it('is read for ever', () => {
    expect(decodeClaim(frozen.code)).toEqual(frozen.claim);
    expect(decodeClaim(byKey.code)).toEqual(byKey.claim);
  });

  it('is written as it always was', () => {
    expect(encodeClaim(frozen.claim)).toBe(frozen.code);
    expect(encodeClaim(byKey.claim)).toBe(byKey.code);
  });

  it('may have blanks and line ends around it', () => {
    expect(decodeClaim(`  ${frozen.code}\r\n`)).toEqual(frozen.claim);
  });

  it('is refused when it was not copied whole', () => {
    for (let length = 0; length < frozen.code.length - 2; length += 1) {
      expect(() => decodeClaim(frozen.code.slice(0, length))).toThrow(refusal);
    }
  });

  it.each(['', 'hfc2.e30', 'hfc1.', 'hfc1.e30', 'hfc1.%%%', 'https://fleet.example', `hfc1.${'A'.repeat(10_000)}`])(
    'is not %j',
    (text) => {
      expect(() => decodeClaim(text)).toThrow(refusal);
    },
  );
});

describe('a delay that somebody asks for', () => {
  it.each([
    [0, 0],
    [-5, 0],
    [60, 60],
    [0.2, 0.2],
    [delayMaxS + 1, delayMaxS],
    [Number.POSITIVE_INFINITY, delayMaxS],
    [Number.NaN, delayMaxS],
  ])('of %d s is one of %d s', (asked, granted) => {
    expect(clampDelayS(asked)).toBe(granted);
  });
});
