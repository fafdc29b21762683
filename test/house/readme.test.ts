import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { checkoutRoot, readPackage } from './checkout.ts';
import { commandProblem, keepsPromise, promisedSteps, shownCommands, subcommandOf } from './readme.ts';
import { filesBelow } from './source.ts';

const documents = filesBelow(checkoutRoot, (path) => path.endsWith('.md'));
const offered = readPackage();
const exists = (path: string): boolean => existsSync(join(checkoutRoot, path));
const commands = documents.flatMap((name) =>
  shownCommands(readFileSync(join(checkoutRoot, name), 'utf8')).map((command) => ({ name, ...command })),
);
const subcommands = new Map(
  commands.flatMap(({ words }) => {
    const shown = subcommandOf(words);
    return shown === null ? [] : [[[shown.bin, ...shown.path].join(' '), shown] as const];
  }),
);

describe('the commands that the documents show', () => {
  it('exist', () => {
    const problems = commands.map(({ name, line, words }) => {
      const problem = commandProblem(words, offered, exists);
      return problem === null ? null : `${name}:${line}: ${problem}`;
    });
    expect(problems.filter((problem) => problem !== null)).toEqual([]);
  });

  it('are there at all in README.md', () => {
    expect(commands.filter(({ name }) => name === 'README.md').length).toBeGreaterThan(5);
  });

  it.each([...subcommands.keys()])('%s explains itself', async (name) => {
    const shown = subcommands.get(name);
    const target = offered.bin[shown?.bin ?? ''] ?? '';
    const result = await execa(process.execPath, [target, ...(shown?.path ?? []), '--help'], { cwd: checkoutRoot });
    expect(result.stdout).toContain(shown?.path.at(-1) ?? shown?.bin ?? '');
  });
});

describe('package.json', () => {
  it('runs the set-up before every script', () => {
    const names = Object.keys(offered.scripts).filter((name) => !name.startsWith('pre'));
    expect(names.filter((name) => offered.scripts[`pre${name}`] !== 'node test/support/set-up.js')).toEqual([]);
  });

  it('names exact versions, the same ones as the lock file', () => {
    const lock: unknown = JSON.parse(readFileSync(join(checkoutRoot, 'package-lock.json'), 'utf8'));
    const { dependencies, devDependencies, bin } = offered;
    const ranges = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([, v]) => !/^\d+\.\d+\.\d+$/.test(v),
    );
    expect(ranges).toEqual([]);
    expect(lock).toMatchObject({ packages: { '': { dependencies, devDependencies, bin } } });
  });
});

describe('the rule on shown commands', () => {
  it('reads only sh blocks, without comments, joined over a backslash', () => {
    const text = 'npm nothing\n```sh\nnpm start   # all\nnpx holdfast \\\n  fleet\n```\n```json\nnpm no\n```\n';
    expect(shownCommands(text)).toEqual([
      { line: 3, words: ['npm', 'start'] },
      { line: 4, words: ['npx', 'holdfast', 'fleet'] },
    ]);
  });

  it.each([
    ['a script that is not there', ['npm', 'run', 'nothing']],
    ['a command that is not there', ['npx', 'holdslow']],
    ['a command whose file is not there', ['npx', 'gone']],
    ['a file that is not there', ['node', 'nothing.ts']],
    ['a program that is not ours', ['curl', 'x']],
  ])('finds %s', (_, words) => {
    const planted = { scripts: { test: 'x' }, bin: { gone: 'gone.ts' } };
    expect(commandProblem(words, planted, () => false)).not.toBeNull();
  });

  it('reads the promise of each command of a chapter, behind its last line', () => {
    const text = '## A\n```sh\nnpm test # no\n```\n## B\n```sh\nnpm start \\\n  --exit  # told … well.\n```\n## C\n';
    expect(promisedSteps(text, 'B')).toEqual([{ line: 7, words: ['npm', 'start', '--exit'], promise: 'told … well.' }]);
    expect([keepsPromise('told … well.', 'told all  well.'), keepsPromise('told … well.', 'told, well!')]).toEqual([
      true,
      false,
    ]);
  });

  it('takes the words up to a value for the subcommand', () => {
    expect(subcommandOf(['npx', 'holdfast', 'rollout', 'start', '1.0.52', '--canary'])).toEqual({
      bin: 'holdfast',
      path: ['rollout', 'start'],
    });
  });
});
