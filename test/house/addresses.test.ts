// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the planted texts are sources
import { describe, expect, it } from 'vitest';
import { addressExceptions, addressViolations } from './addresses.ts';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';

const sources = readSources(checkoutRoot);

describe('addresses', () => {
  it('are joined by one function', () => {
    expect(addressViolations(sources)).toEqual([]);
  });

  it('have no exception that nobody needs', () => {
    expect(Object.keys(addressExceptions).filter((path) => !sources.some((file) => file.path === path))).toEqual([]);
    const needed = sources.filter(({ path }) => path in addressExceptions);
    const moved = needed.map((file) => ({ ...file, path: `updater/elsewhere/${file.path}` }));
    expect(addressViolations(moved)).toHaveLength(needed.length);
  });

  it.each([
    ['by the constructor', 'export const a = (url: string) => new URL("/v1/x", url).href;'],
    ['by a template', 'export const a = (base: string) => `${base}/metadata`;'],
    [
      'by a template of two parts',
      'export const a = (identity: { url: string }, path: string) => `${identity.url}${path}`;',
    ],
    ['by a template after a change', "export const a = (url: string) => `${url.replace(/\\/$/, '')}/x`;"],
    ['by a sum', "export const a = (url: string) => url + '/x';"],
    [
      'by a sum after a change',
      "export const a = (identity: { url: string }, p: string) => identity.url.replace(/\\/$/, '') + p;",
    ],
    ['by a template of a longer name', 'export const a = (publicUrl: string) => `${publicUrl}/claims`;'],
  ])('that are joined %s are found', (_what, text) => {
    expect(addressViolations(plantSources({ 'agent/a.ts': text })).map(({ path }) => path)).toEqual(['agent/a.ts']);
  });

  it('that stand in a sentence are none', () => {
    const text = 'export const a = (url: string, n: number) => `${url} answers with status ${n}` + `see ${url}/x`;';
    expect(addressViolations(plantSources({ 'updater/a.ts': text }))).toEqual([]);
  });
});
