import { execaSync } from 'execa';
import { describe, expect, it } from 'vitest';
import { counted } from '../../protocol/counted.ts';
import { cut, lastWord, withFullStop } from '../../protocol/text.ts';

/** The real words of a real program that ends by an error. */
function ending(source: string): string {
  return execaSync(process.execPath, ['--input-type=module', '--eval', source], { reject: false, all: true }).all;
}

describe('the last word of a program', () => {
  it.each([
    ['an error that nobody caught', "throw new TypeError('no such key')", 'TypeError: no such key'],
    [
      'one with properties below its frames',
      "throw Object.assign(new Error('no pump'), { code: 'E_PUMP', where: { port: 3 } })",
      'Error: no pump',
    ],
    [
      'one with a cause',
      "throw new Error('the store is shut', { cause: new RangeError('too far') })",
      'Error: the store is shut',
    ],
    ['a message of two lines', "throw new Error('first\\nsecond')", 'Error: first'],
    ['a rejection', "await Promise.reject(new SyntaxError('odd'))", 'SyntaxError: odd'],
    [
      'a module that is missing',
      "import '/nowhere/pump.js'",
      /^Error \[ERR_MODULE_NOT_FOUND\]: Cannot find module '\/nowhere\/pump\.js'/,
    ],
    ['a system error', "(await import('node:fs')).readFileSync('/nowhere')", /^Error: ENOENT: no such file/],
    ['words on its way out', "console.log('begin'); console.error('no water in the tank')", 'no water in the tank'],
    [
      'an error that it lived with, and words after',
      "console.error(new Error('passing')); console.error('closing the valve')",
      'closing the valve',
    ],
    ['nothing', '', ''],
  ])('is found in %s', (_, source, word) => {
    const output = ending(source);
    expect(lastWord(output)).toEqual(typeof word === 'string' ? word : expect.stringMatching(word));
  });

  it.each([
    ['the agent did not start: no state (state-lost)\nwhat to do: look at the disk\n', /^the agent did not start/],
    ['{"level":30,"msg":"begin"}\n{"level":60,"msg":"the store is shut","error":"EIO"}\n', /^the store is shut: EIO$/],
    ['{"half":', /^\{"half":$/],
    [
      '<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n\n 1: 0xb81fdc node::Abort()\n 2: 0x7f\n',
      /^FATAL ERROR: Reached heap limit/,
    ],
    ['node: error while loading shared libraries: libatomic.so.1', /libatomic/],
    ['\n\nNode.js v26.10.0\n', /^$/],
  ])('is found in %j', (output, word) => {
    expect(lastWord(output)).toMatch(word);
  });
});

describe('a text that is cut', () => {
  it('shows it, fits, and breaks no character', () => {
    expect(cut('as it is', 8)).toBe('as it is');
    expect(cut('too long for this', 9)).toBe('too long…');
    expect(cut(`${'x'.repeat(8)}😀`, 9)).toHaveLength(9);
  });

  it('ends with a whole word, and not with the first words of a clause', () => {
    const said = 'Its last exit was code 1; it said last: Error: no pump';
    expect(cut(said, 30)).toBe('Its last exit was code 1…');
    expect(cut(said, 26)).toBe('Its last exit was code 1…');
    expect(cut('1.0.55 ended 3 times. Its last exit was code 1', 45)).toBe(
      '1.0.55 ended 3 times. Its last exit was code…',
    );
    expect(cut(`${'it ended. '.repeat(8)}Its last exit was code 1`, 103)).toMatch(/it ended…$/);
    expect(cut(said, 52)).toBe('Its last exit was code 1; it said last: Error: no…');
    expect(cut('It is off. It has 1.0.1.', 15)).toBe('It is off…');
    expect(withFullStop(cut(said, 30))).toBe('Its last exit was code 1…');
    expect(withFullStop('It is off')).toBe('It is off.');
  });
});

describe('a count and its noun', () => {
  it('agree, with one and with any other number', () => {
    expect([0, 1, 2].map((count) => counted(count, 'time'))).toEqual(['0 times', '1 time', '2 times']);
    expect(counted(1, 'file waits', 'files wait')).toBe('1 file waits');
  });
});
