import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { clockReaders, jsonReaders, serverViolations } from './server-rules.ts';
import { readSources } from './source.ts';

const sources = readSources(checkoutRoot);

describe("the server's sources", () => {
  it("read what is stored, and the machine's clock, in one place each", () => {
    expect(serverViolations(sources)).toEqual([]);
  });

  it('have no exception that nobody needs', () => {
    const texts = new Map(sources.map(({ path, text }) => [path, text]));
    const unused = [
      ...Object.keys(jsonReaders).filter((path) => !texts.get(path)?.includes('JSON.parse')),
      ...Object.keys(clockReaders).filter((path) => !texts.get(path)?.includes('Date.now')),
    ];
    expect(unused).toEqual([]);
  });
});

describe("the rules for the server's sources", () => {
  it.each([
    ['JSON that is stored', 'export const a = (text: string): unknown => JSON.parse(text);'],
    ['JSON in a mapping', 'export const a = (texts: string[]): unknown[] => texts.map(JSON.parse);'],
    ['the time of the machine', 'export const a = () => Date.now();'],
    ['the time of the machine as a function', 'export const a = Date.now;'],
    ['today', 'export const a = () => new Date();'],
  ])('find %s', (_, text) => {
    expect(serverViolations(plantSources({ 'server-lite/a.ts': text })).map(({ path }) => path)).toEqual([
      'server-lite/a.ts',
    ]);
  });

  it('let pass other programs, and dates of a given time', () => {
    const planted = plantSources({
      'image/a.ts': 'export const a = () => Date.now();',
      'server-lite/a.ts': 'export const a = (ms: number) => new Date(ms);',
    });
    expect(serverViolations(planted)).toEqual([]);
  });
});
