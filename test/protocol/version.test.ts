import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, versionShape } from '../../protocol/version.ts';

/** Rising by clause 11 of SemVer 2.0.0; the first eight are its own example. */
const rising = [
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.9',
  '1.0.10',
  '1.0.49',
  '1.0.52-9007199254740992',
  '1.0.52-9007199254740993',
  '1.0.52-a-b',
  '1.0.52',
  '1.9.0',
  '1.10.0',
  '2.0.0-0',
  '2.0.0',
  '10.0.0',
];

const identifier = fc.oneof(fc.nat().map(String), fc.stringMatching(/^[0-9A-Za-z-]{0,5}[A-Za-z-]$/));
const version = fc
  .tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 }), fc.nat({ max: 999_999_999 }), fc.array(identifier, { maxLength: 3 }))
  .map(([a, b, c, pre]) => [`${a}.${b}.${c}`, pre.join('.')].filter((part) => part !== '').join('-'));

describe('versions', () => {
  it('S59: are ordered by number, never as text', () => {
    for (const [i, a] of rising.entries()) {
      for (const [j, b] of rising.entries()) expect([a, b, compareVersions(a, b)]).toEqual([a, b, Math.sign(i - j)]);
    }
  });

  it('have one order whichever is asked first', () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(compareVersions(a, b) + compareVersions(b, a)).toBe(0);
      }),
    );
  });

  it('are equal only when they are the same', () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(compareVersions(a, b) === 0).toBe(a === b);
      }),
    );
  });

  it('have an order that carries on', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        fc.pre(compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0);
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('of every made form are accepted', () => {
    fc.assert(
      fc.property(version, (text) => {
        expect(versionShape.safeParse(text).success).toBe(text.length <= 64);
      }),
    );
  });

  it.each([
    '',
    '1',
    '1.0',
    'v1.0.0',
    '01.0.0',
    '1.0.0-',
    '1.0.0-a..b',
    '1.0.0-01',
    '1.0.0+build',
    ' 1.0.0',
    '1.0.0\n',
    '1.0.1000000000',
    `1.0.0-${'a'.repeat(64)}`,
  ])('are refused as %j', (text) => {
    expect(versionShape.safeParse(text).success).toBe(false);
  });

  it('that are none are not compared', () => {
    expect(() => compareVersions('1.0.0', 'newest')).toThrow(RangeError);
  });
});
