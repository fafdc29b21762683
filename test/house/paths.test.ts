import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { lostPaths } from './paths.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';

describe('a path that is joined from words', () => {
  it('leads to a source file', () => {
    expect(lostPaths(readSources(checkoutRoot), (path) => existsSync(join(checkoutRoot, path)))).toEqual([]);
  });

  it.each([
    ['beside its file', "export const a = join(import.meta.dirname, 'support', 'gone.ts');"],
    ['above its file', "export const a = resolve(import.meta.dirname, '../../updater/gone.ts');"],
    ['from the root', "export const a = join(checkout, 'updater', 'gone.ts');"],
    ['from where the build stands', "export const a = [join('updater', 'gone.ts')];"],
  ])('is found to lead nowhere, %s', (_, text) => {
    expect(lostPaths(plantSources({ 'test/a/b.ts': text }), () => false)).toHaveLength(1);
  });

  it('is left alone where it leads somewhere, or where only a run can tell', () => {
    const planted = plantSources({
      'test/a/b.ts':
        "export const c = [join(checkout, 'updater', 'a.ts'), join(dir, 'x.ts'), join(checkout, name, 'x.ts')];",
    });
    expect(lostPaths(planted, (path) => path === 'updater/a.ts')).toEqual([]);
  });
});
