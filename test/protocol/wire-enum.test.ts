import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wireEnum, wordOf } from '../../protocol/wire-enum.ts';

const shape = wireEnum(['ok', 'fail']);

describe('a word on the wire', () => {
  it('that is known is itself', () => {
    expect(shape.parse('ok')).toBe('ok');
  });

  it('that is not known is kept, and never refused', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 64 }), (raw) => {
        fc.pre(raw !== 'ok' && raw !== 'fail');
        expect(shape.parse(raw)).toEqual({ kind: 'unknown', raw });
        expect(wordOf(shape.parse(raw))).toBe(raw);
      }),
    );
  });

  it.each(['constructor', '__proto__', 'toString', 'OK', ''])('%j is not taken for a known one', (raw) => {
    expect(shape.parse(raw)).toEqual({ kind: 'unknown', raw });
  });

  it.each([1, null, {}, 'x'.repeat(65)])('is text of at most 64 characters, and so not %j', (value) => {
    expect(shape.safeParse(value).success).toBe(false);
  });

  it('is shown as it came', () => {
    expect(wordOf('ok')).toBe('ok');
  });
});
