import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';
import { environmentFiles, fileLinesMax, functionLinesMax, longFiles, tidyViolations } from './tidy.ts';

const sources = readSources(checkoutRoot);
const longBody = 'void 0;\n'.repeat(functionLinesMax);

describe('the sources', () => {
  it('are tidy', () => {
    expect(tidyViolations(sources)).toEqual([]);
  });

  it('have no exception that nobody needs', () => {
    const paths = new Set(sources.map((file) => file.path));
    expect([...Object.keys(longFiles), ...Object.keys(environmentFiles)].filter((path) => !paths.has(path))).toEqual(
      [],
    );
  });
});

describe('the tidy rules', () => {
  it.each([
    ['a long file', 'agent/a.ts', 'void 0;\n'.repeat(fileLinesMax + 1)],
    ['a long function', 'agent/a.ts', `export function a() {\n${longBody}}\n`],
    ['a long method', 'agent/a.ts', `export class A { b() {\n${longBody}} }\n`],
    ['a long arrow function', 'test/a.test.ts', `it('b', () => {\n${longBody}});\n`],
    ['a test that runs alone', 'test/a.test.ts', `it.only('b', () => { c(); });`],
    ['a test that is left out', 'test/a.test.ts', `describe.skip('b', () => { c(); });`],
    ['a test that is left out on some machines', 'test/a.test.ts', `it.skipIf(d)('b', () => { c(); });`],
    ['a test that is left out in a table', 'test/a.test.ts', `describe.each([1]).skip('b', () => { c(); });`],
    ['a swallowed error', 'image/a.ts', 'try { b(); } catch { /* whatever */ }'],
    ['a swallowed rejection', 'image/a.ts', 'await b().catch(() => {});'],
    ['the wall clock in the updater', 'updater/a.ts', 'export const now = () => Date.now();'],
    ['the wall clock in the agent', 'agent/deep/a.ts', 'export const now = () => new Date();'],
    ['the wall clock by a computed name', 'agent/a.ts', "export const now = () => Date['now']();"],
    ['the environment outside of main.ts', 'server-lite/a.ts', 'export const { HOME } = process.env;'],
    ['an imported environment', 'server-lite/a.ts', "import { env as e } from 'node:process';\nexport const f = e;"],
    ['a default export', 'image/a.ts', 'export default 1;'],
    ['state of a module', 'image/a.ts', 'let b = 1;\nexport const c = () => { b += 1; };'],
    ['a cast around the checker', 'image/a.ts', 'export const b = 1 as unknown as string;'],
  ])('find %s', (_, path, text) => {
    expect(tidyViolations(plantSources({ [path]: text })).map((violation) => violation.path)).toEqual([path]);
  });

  it('name the line', () => {
    const planted = plantSources({ 'image/ü.ts': "export const a = 'äöü→';\n\ntry { a.at(0); } catch {}\n" });
    expect(tidyViolations(planted)).toEqual([{ path: 'image/ü.ts', line: 3, text: 'an error is swallowed' }]);
  });

  it('let pass what is allowed', () => {
    const planted = plantSources({
      'agent/effects/clock.ts': 'export const now = () => Date.now();',
      'updater/release/when.ts': 'export const of = (seconds: number) => new Date(seconds * 1000);',
      'updater/main.ts': 'export const { HOME } = process.env;',
      'test/a.test.ts': `describe('b', () => {\n${longBody}});\n`,
      'image/a.ts': "export const b = 'x'.split('').skip;",
    });
    expect(tidyViolations(planted)).toEqual([]);
  });
});
