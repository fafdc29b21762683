import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import hostile from '../../vitest.hostile.config.ts';
import kill from '../../vitest.kill.config.ts';
import programs from '../../vitest.programs.config.ts';
import systemd from '../../vitest.systemd.config.ts';
import { changedFiles, sourcesAmong } from '../tiers/changed.ts';
import { otherTiers, pureTests, slowPrograms } from '../tiers/lists.ts';
import { tierScripts } from '../tiers/tiers.ts';
import { checkoutRoot, readPackage } from './checkout.ts';
import { plantSources, plantTree } from './plant.ts';
import { impureImports, pureExceptions } from './pure-imports.ts';
import { filesBelow, readSources } from './source.ts';

const configShape = z.object({ test: z.object({ include: z.array(z.string()) }) });
const includesOf = (config: unknown) => configShape.parse(config).test.include;
const isAmong = (path: string, globs: readonly string[]) => globs.some((glob) => matchesGlob(path, glob));

describe('the tiers', () => {
  const byHand = [programs, kill, hostile, systemd].map(includesOf);
  const tests = filesBelow(checkoutRoot, (path) => /^(test|examples)\/.*\.test\.ts$/.test(path));

  it('run each file of tests once', () => {
    const counted = tests.map((path) => {
      const beside = byHand.filter((globs) => isAmong(path, globs)).length;
      return [path, beside + (isAmong(path, otherTiers) ? 0 : 1)] as const;
    });
    expect(tests.length).toBeGreaterThan(200);
    expect(counted.filter(([, times]) => times !== 1)).toEqual([]);
  });

  it('have no pattern that no file has', () => {
    const globs = [...byHand.flat(), ...otherTiers, ...pureTests, ...slowPrograms];
    expect(globs.filter((glob) => !tests.some((path) => matchesGlob(path, glob)))).toEqual([]);
  });

  it('are the scripts that `npm run test:all` runs: one for each configuration', () => {
    const { scripts } = readPackage();
    const names = tierScripts(scripts);
    expect(names).toEqual(['test', 'test:programs', 'test:kill', 'test:hostile', 'test:systemd']);
    const configs = filesBelow(checkoutRoot, (path) => /^vitest\.([a-z]+\.)?config\.ts$/.test(path));
    const used = names.map((name) => /--config (\S+)$/.exec(scripts[name] ?? '')?.[1] ?? 'vitest.config.ts');
    expect(new Set(used)).toEqual(new Set(configs));
  });
});

/** What a test would leave behind for the files that its worker runs after it. */
const leftBehind =
  /^\s*(?:process\.(?:umask|chdir|sete?[ug]id|setgroups|on|once)\(|process\.(?:env|argv|title)\b[^;=]*=[^=]|Object\.assign\(process|delete process\.|(?:await )?vi\.(?:mock|doMock|stub\w*|spyOn|useFakeTimers|setSystemTime)\()/m;

describe('a test that shares its worker', () => {
  const shared = readSources(checkoutRoot).filter(
    ({ path }) => path.startsWith('test/') && path.endsWith('.test.ts') && !isAmong(path, otherTiers),
  );

  it('changes nothing of the process', () => {
    expect(shared.length).toBeGreaterThan(150);
    expect(shared.filter(({ text }) => leftBehind.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it.each([
    'process.umask(0);',
    "  process.chdir('/tmp');",
    "process.env.HOME = '/x';",
    "process.env['HOME'] = '/x';",
    '  delete process.env.HOME;',
    "process.on('exit', () => 1);",
    "  vi.mock('node:fs');",
    '  vi.useFakeTimers();',
  ])('is found with %s', (line) => {
    expect(leftBehind.test(`const a = 1;\n${line}\n`)).toBe(true);
  });
});

describe('a pure test', () => {
  const sources = readSources(checkoutRoot);

  it('imports nothing that has effects, however far one follows', () => {
    expect(impureImports(sources, pureTests)).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    for (const { path, specifier } of pureExceptions) {
      expect(sources.find((file) => file.path === path)?.text).toContain(`from '${specifier}'`);
    }
  });

  it.each([
    ['the disk', "import { rmSync } from 'node:fs';\nrmSync('x');"],
    ['a process, two files away', "import { b } from './b.ts';\nb();"],
    ['what only a run can tell', 'export const load = (name: string) => import(name);'],
    ['a file that is not there', "import './gone.ts';"],
  ])('that reaches %s is found', (_, text) => {
    const planted = plantSources({
      'test/a.test.ts': text,
      'test/b.ts': "export { c as b } from './c.ts';",
      'test/c.ts': "import { execa } from 'execa';\nexport const c = () => execa('x');",
    });
    expect(impureImports(planted, ['test/a.test.ts'])).toHaveLength(1);
  });

  it('may import types of whatever it likes', () => {
    const planted = plantSources({ 'test/a.test.ts': "import type { Stats } from 'node:fs';\nexport type A = Stats;" });
    expect(impureImports(planted, ['test/a.test.ts'])).toEqual([]);
  });
});

describe('what has changed', () => {
  it('is what differs from the last commit, staged or not, and what is new; nothing in a clean tree', async () => {
    const root = plantTree({
      'kept.ts': 'a',
      'staged.ts': 'a',
      'gone.ts': 'a',
      'odd name.ts': 'a',
      '.gitignore': 'out/\n',
    });
    const git = (...args: string[]) =>
      execa('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.org', ...args], { cwd: root });
    await git('init', '-q');
    await git('add', '.');
    await git('commit', '-q', '-m', 'all of it');
    expect(await changedFiles(root)).toEqual([]);
    const write = (path: string) => writeFileSync(join(root, path), 'b');
    for (const path of ['staged.ts', 'odd name.ts', 'new.md', 'new.js']) write(path);
    mkdirSync(join(root, 'out'));
    write('out/built.js');
    rmSync(join(root, 'gone.ts'));
    await git('add', 'staged.ts');
    const changed = await changedFiles(root);
    expect(changed).toEqual(['new.js', 'new.md', 'odd name.ts', 'staged.ts']);
    expect(sourcesAmong(changed)).toEqual(['new.js', 'odd name.ts', 'staged.ts']);
  });
});
