import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { keptFileViolations, ownReaders } from './kept-files.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';

const sources = readSources(checkoutRoot);

describe('a file that decides nothing', () => {
  it('is read by the one function that sets it aside when it is damaged', () => {
    expect(keptFileViolations(sources)).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const reading = new Set(sources.filter(({ text }) => text.includes('readJson(')).map(({ path }) => path));
    expect(Object.keys(ownReaders).filter((path) => !reading.has(path))).toEqual([]);
  });

  it('is found where somebody reads it otherwise', () => {
    const planted = plantSources({
      'updater/status/a.ts': 'export const a = shape.parse(readJson(files, path, 100));',
    });
    expect(keptFileViolations(planted)).toHaveLength(1);
    const elsewhere = plantSources({ 'agent/a.ts': 'export const a = readJson(files, path, 100);' });
    expect(keptFileViolations(elsewhere)).toEqual([]);
  });
});
