import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { comparers, componentComparisons } from './drivers.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';

const sources = readSources(checkoutRoot);

describe('which component a transaction is about', () => {
  it('only its driver knows', () => {
    expect(componentComparisons(sources)).toEqual([]);
  });

  it('is asked by each of the files that are listed with a reason', () => {
    const found = new Set(componentComparisons(sources, true).map(({ path }) => path));
    expect(found).toEqual(new Set(Object.keys(comparers)));
  });

  it.each([
    ["component === 'app'", 1],
    ["'os' != component", 1],
    ["state.trial?.component !== 'updater'", 1],
    ["component === 'app' || component === 'os'", 2],
    ["component === 'runtime'", 0],
    ['component === other', 0],
    ["role === 'previous'", 0],
  ])('is found to be asked by %s', (test, times) => {
    const text = `export const a = (component: string, other: string, role: string, state: any) => ${test};`;
    expect(componentComparisons(plantSources({ 'updater/run/a.ts': text }))).toHaveLength(times);
    expect(componentComparisons(plantSources({ 'updater/transaction/drivers/a.ts': text }))).toEqual([]);
    expect(componentComparisons(plantSources({ 'server-lite/a.ts': text }))).toEqual([]);
  });

  it('is found to be asked by a switch', () => {
    const text =
      "export function a(component: string) {\n  switch (component) {\n    case 'app':\n      return 1;\n    default:\n      return 2;\n  }\n}";
    expect(componentComparisons(plantSources({ 'updater/run/a.ts': text }))).toMatchObject([{ line: 3 }]);
  });
});
