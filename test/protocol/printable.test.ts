import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOneLine, printable } from '../../protocol/printable.ts';

const at = (...codes: number[]) => String.fromCodePoint(...codes);

describe('a text that is written', () => {
  it.each([
    ['an escape sequence', `a${at(0x1b)}[2Jb`, 'a\\u001b[2Jb'],
    ['a command to the operating system', `${at(0x1b)}]0;root${at(7)}`, '\\u001b]0;root\\u0007'],
    ['the one-byte form of it', `${at(0x9b)}31m`, '\\u009b31m'],
    ['a carriage return', `ok${at(13)}no`, 'ok\\u000dno'],
    ['a deletion', at(0x7f, 8), '\\u007f\\u0008'],
    ['an override of the direction', `a${at(0x202e)}gpj.exe`, 'a\\u202egpj.exe'],
    ['an isolate', at(0x2066, 0x2069), '\\u2066\\u2069'],
    ['the mark of a direction', at(0x200f, 0x61c), '\\u200f\\u061c'],
    ['nothing wide', at(0x200b, 0x200d, 0x2060, 0xfeff), '\\u200b\\u200d\\u2060\\ufeff'],
    ['a filler', at(0x3164), '\\u3164'],
    ['a separator of lines', at(0x2028, 0x2029), '\\u2028\\u2029'],
    ['a tag beyond the first plane', at(0xe0041), '\\udb40\\udc41'],
    ['half a character', '\ud800', '\\ud800'],
  ])('shows %s as an escape', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it.each(['ท่าเรือ 4', 'ميناء', 'Größe · 10 °C', '港 4', 'a\n\tb', 'é'])('leaves %j as it is', (text) => {
    expect(printable(text)).toBe(text);
  });

  it('begins no line where it is one field of many', () => {
    expect(inOneLine('stick\nfine: nothing to do\tnow')).toBe('stick\\u000afine: nothing to do\\u0009now');
  });

  it('is the same JSON, and the same text the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(JSON.parse(printable(JSON.stringify({ text })))).toEqual({ text });
        expect(printable(printable(text))).toBe(printable(text));
        expect(printable(text)).not.toMatch(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
