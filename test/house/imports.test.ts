import { describe, expect, it } from 'vitest';
import { checkoutRoot, readPackage } from './checkout.ts';
import { bareViolations, importExceptions, importsOf, importTable, importViolations, onlyThrough } from './imports.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';

const sources = readSources(checkoutRoot);
const listed = new Set(Object.keys(readPackage().dependencies));
const diskModules = ['node:fs', 'node:fs/promises', 'fs', 'fs/promises'];
/** The files of updater/ that touch the disk themselves. */
const diskFiles = ['updater/effects/files.ts', 'updater/effects/by-descriptor.ts', 'updater/effects/scratch-files.ts'];

describe('the import rule', () => {
  it('holds in the checkout', () => {
    expect(importViolations(sources, listed)).toEqual([]);
  });

  it('covers every program of the checkout', () => {
    const programs = new Set(sources.map((file) => file.program).filter((name) => name !== '' && name !== 'test'));
    expect([...programs].filter((name) => importTable[name] === undefined)).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const unneeded = importExceptions.filter(({ path, specifier }) => {
      const file = sources.find((candidate) => candidate.path === path);
      return file === undefined || !importsOf(file).some((made) => made.specifier === specifier);
    });
    expect(unneeded).toEqual([]);
  });

  it.each([
    ['a program that imports another', 'agent/a.ts', "import { b } from '../updater/b.ts';\nb();"],
    ['a type from another program', 'agent/a.ts', "import type { B } from '../updater/b.ts';\nexport type A = B;"],
    ['a type import inside a type', 'agent/a.ts', "export type A = import('../image/b.ts').B;"],
    ['a dynamic import of another program', 'updater/a.ts', "await import('../agent/b.ts');"],
    ['a re-export of another program', 'image/a.ts', "export { b } from '../server-lite/b.ts';"],
    ['a computed import', 'updater/a.ts', 'export const load = (name: string) => import(name);'],
    ['a CommonJS import', 'updater/a.ts', "const got = require('execa');\ngot();"],
    ['protocol that imports a program', 'protocol/a.ts', "export * from '../agent/b.ts';"],
    ['protocol that reads files', 'protocol/a.ts', "import { readFileSync } from 'node:fs';\nreadFileSync('x');"],
    ['a program that imports the tests', 'agent/a.ts', "import { b } from '../test/support/b.ts';\nb();"],
    ['a package that the updater does without', 'updater/a.ts', "import { execa } from 'execa';\nawait execa('x');"],
    ['a package that nobody lists', 'server-lite/a.ts', "import leftPad from 'left-pad';\nleftPad();"],
  ])('finds %s', (_, path, text) => {
    expect(importViolations(plantSources({ [path]: text }), listed).map((violation) => violation.path)).toEqual([path]);
  });

  it('allows what the table allows', () => {
    const planted = plantSources({
      'updater/a.ts': "import { z } from 'zod';\nimport { b } from '../protocol/b.ts';\nimport './page/c.ts';\nb(z);",
      'agent/a.ts': "const { default: got } = await import('got');\nawait got('x');",
    });
    expect(importViolations(planted, listed)).toEqual([]);
  });
});

describe('launch', () => {
  it('imports nothing but Node, however far one follows', () => {
    expect(bareViolations(sources, 'updater/launch/main.ts')).toEqual([]);
  });

  it('is found to reach a package through two files', () => {
    const planted = plantSources({
      'updater/launch/main.ts': "import { b } from '../b.ts';\nb();",
      'updater/b.ts': "export { c as b } from '../protocol/c.ts';",
      'protocol/c.ts': "import { z } from 'zod';\nexport const c = z.string();",
    });
    expect(bareViolations(planted, 'updater/launch/main.ts').map(({ path }) => path)).toEqual(['protocol/c.ts']);
  });

  it('may name types of files that it does not reach', () => {
    const planted = plantSources({
      'updater/launch/main.ts': "import type { C } from '../c.ts';\nexport const c: C = 1;",
      'updater/c.ts': "import { z } from 'zod';\nexport const shape = z.number();\nexport type C = number;",
    });
    expect(bareViolations(planted, 'updater/launch/main.ts')).toEqual([]);
  });

  it('reaches a file whose import brings only types inside braces, because that import stays', () => {
    const planted = plantSources({
      'updater/launch/main.ts': "import { type C } from '../c.ts';\nexport const c: C = 1;",
      'updater/c.ts': "import { z } from 'zod';\nexport const shape = z.number();\nexport type C = number;",
    });
    expect(bareViolations(planted, 'updater/launch/main.ts').map(({ path }) => path)).toEqual(['updater/c.ts']);
  });
});

describe('the disk', () => {
  it('is touched by updater/effects/files.ts alone, and what it does by descriptor', () => {
    expect(onlyThrough(sources, 'updater', diskModules, diskFiles)).toEqual([]);
  });

  it('is found to be touched elsewhere', () => {
    const planted = plantSources({
      'updater/a.ts': "const { rmSync } = await import('node:fs');\nrmSync('x');",
      'updater/b.ts': "import { rm } from 'node:fs/promises';\nawait rm('x');",
      'updater/c.ts': "process.getBuiltinModule('node:fs').rmSync('x');",
    });
    const found = onlyThrough(planted, 'updater', diskModules, diskFiles);
    expect(found.map(({ path }) => path)).toEqual(['updater/a.ts', 'updater/b.ts', 'updater/c.ts']);
  });
});
