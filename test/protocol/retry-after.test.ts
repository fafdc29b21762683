import { describe, expect, it } from 'vitest';
import { retryAfterSOf } from '../../protocol/check-in.ts';

describe('the delay that an answer asks for', () => {
  it.each([
    ['120', 120, 120],
    ['3601', 3_601, 3_600],
    ['86400', 86_400, 3_600],
    ['999999999', 86_400, 3_600],
    ['9999999999', 0, 0],
    ['-5', 0, 0],
    ['1.5', 0, 0],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 0, 0],
    ['', 0, 0],
    [['5', '6'], 0, 0],
    [undefined, 0, 0],
  ])('%j: %i s where it is signed, %i s where it is not', (value, signed, unsigned) => {
    const headers = { 'retry-after': value };
    expect([retryAfterSOf(headers, true), retryAfterSOf(headers, false)]).toEqual([signed, unsigned]);
  });
});
