import { describe, expect, it } from 'vitest';
import {
  aloneMs,
  crashLoop,
  type Loop,
  recentBursts,
  rescueOf,
  type StayCode,
  stayText,
  windowNow,
} from '../../../updater/verdict/rescue.ts';

const minute = 60_000;
const loop = (changes: Partial<Loop> = {}): Loop => ({
  refused: null,
  isQuarantined: false,
  wasLeft: false,
  window: 'open',
  aloneForMs: 0,
  isWhole: () => true,
  ...changes,
});
const stays = (changes: Partial<Loop>) => rescueOf(loop(changes));

describe('a crash loop', () => {
  it('is bursts within half an hour, and those that came before do not count', () => {
    const bursts = [0, 10 * minute, 29 * minute];
    expect(recentBursts(bursts, 29 * minute)).toHaveLength(crashLoop.bursts);
    expect(recentBursts(bursts, 30 * minute)).toEqual([10 * minute, 29 * minute]);
    expect(recentBursts([1, 2, 3, 4, 5], 6)).toEqual([3, 4, 5]);
  });
});

describe('out of a crash loop', () => {
  it('the version before is gone back to where nothing speaks against it', () => {
    expect(rescueOf(loop())).toEqual({ kind: 'return' });
  });

  it.each<[StayCode, Partial<Loop>]>([
    ['no-previous', { refused: 'no-previous' }],
    ['revoked', { refused: 'revoked' }],
    ['floor', { refused: 'floor' }],
    ['state-not-readable', { refused: 'state-not-readable' }],
    ['quarantined', { isQuarantined: true }],
    ['tried-before', { wasLeft: true }],
    ['window', { window: 'closed', aloneForMs: 10 * aloneMs }],
    ['server', { window: 'unknown', aloneForMs: aloneMs - 1 }],
    ['slot-damaged', { isWhole: () => false }],
  ])('it stays: %s', (code, changes) => {
    expect(stays(changes)).toEqual({ kind: 'stay', code });
    expect(stayText(code, '1.0.48')).toMatch(/^It (stays, because|goes back to 1\.0\.48 by itself when) /);
  });

  it('nobody waits for ever for a server that does not answer', () => {
    expect(stays({ window: 'unknown', aloneForMs: aloneMs })).toEqual({ kind: 'return' });
  });

  it('no file of the previous version is read before all else is known', () => {
    const isWhole = () => {
      throw new Error('it was read');
    };
    expect(stays({ window: 'closed', isWhole })).toEqual({ kind: 'stay', code: 'window' });
  });
});

describe('the window', () => {
  it.each([
    ['open', { openForS: 3_600, ageMs: 0, isNewest: true }],
    ['open', { openForS: 3_600, ageMs: 59 * minute, isNewest: false }],
    // It has run out, and the server is there to be asked again.
    ['open', { openForS: 3_600, ageMs: 61 * minute, isNewest: true }],
    ['unknown', { openForS: 3_600, ageMs: 61 * minute, isNewest: false }],
    ['closed', { openForS: 0, ageMs: minute, isNewest: true }],
    ['unknown', { openForS: 0, ageMs: minute, isNewest: false }],
    ['unknown', { openForS: null, ageMs: minute, isNewest: true }],
  ] as const)('is %s after %o', (expected, answer) => {
    expect(windowNow(answer)).toBe(expected);
  });
});
