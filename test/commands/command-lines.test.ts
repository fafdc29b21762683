import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { exitDone, exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';

/** What every program of a person keeps to, whatever it is asked. */

const directory = mkdtempSync(join(tmpdir(), 'holdfast-words-'));
afterAll(() => rmSync(directory, { recursive: true }));
const nowhere = join(directory, 'nowhere');
const keysFile = join(directory, 'public-keys.json');
const key = () => generateKeyPair().publicKey;
writeFileSync(keysFile, JSON.stringify({ answer: key(), snapshot: key(), timestamp: key() }));
mkdirSync(join(directory, 'odd'));
writeFileSync(join(directory, 'odd', 'release.json'), '{');

const programs = {
  holdfast: 'server-lite/cli/main.ts',
  'holdfast-server': 'server-lite/main.ts',
  'holdfast-updater': 'updater/main.ts',
  'field page': 'updater/page/main.ts',
  bundle: 'image/main.ts',
  launch: 'updater/launch/main.ts',
  tuf: 'updater/commands/tuf/main.ts',
  soak: 'test/soak/main.ts',
  crash: 'test/crash/main.ts',
  bench: 'test/bench/main.ts',
  story: 'test/story/main.ts',
  'the checks of the story': 'test/story/verify.ts',
} as const;
type Program = keyof typeof programs;

async function run(program: Program, ...words: string[]) {
  const { exitCode, stdout, stderr } = await execa(nodeBinary, [join(checkout, programs[program]), ...words], {
    reject: false,
    cwd: directory,
    env: { HOLDFAST_CONFIG: '' },
  });
  return { exitCode, stdout, stderr };
}

/** Words for a person, and not the program's own insides. */
function expectPlain(stderr: string): void {
  expect(stderr).not.toBe('');
  expect(stderr).not.toMatch(/^\s+at |node:internal|Node\.js v\d|\b(E[A-Z]{4,}): \1\b/m);
}

describe('a word that is none of the commands of its group', () => {
  it.each([
    ['fleet', 'assgn', 'assign'],
    ['rollout', 'strt', 'start'],
    ['orders', 'snd', 'send'],
  ])('%s %s is told which was meant: %s', async (group, word, meant) => {
    const { exitCode, stderr } = await run('holdfast', group, word);
    expect([exitCode, stderr]).toEqual([
      exitUsage,
      `error: unknown command '${word}'\n(Did you mean ${meant}?)\nholdfast --help lists commands and options`,
    ]);
  });

  it('is no suggestion where nothing is near, and an argument too many where the command is named', async () => {
    expect((await run('holdfast', 'fleet', 'zzzzzz')).stderr).toBe(
      "error: unknown command 'zzzzzz'\nholdfast --help lists commands and options",
    );
    const { exitCode, stderr } = await run('holdfast', 'fleet', 'list', 'x');
    expect([exitCode, stderr]).toEqual([
      exitUsage,
      "error: too many arguments for 'list': x\nholdfast --help lists commands and options",
    ]);
  });

  it('is told which was meant by the appliance, too', async () => {
    const { exitCode, stderr } = await run('holdfast-updater', 'instal');
    expect([exitCode, stderr]).toEqual([
      exitUsage,
      'there is no command instal (did you mean install?)\nTry: holdfast-updater --help',
    ]);
  });
});

describe('a call that is wrong', () => {
  it.each<[Program, ...string[]]>([
    ['holdfast', 'nonsense'],
    ['holdfast', 'orders', 'send', 'alpha'],
    ['holdfast', 'release', 'build', '--nonsense'],
    ['holdfast-server', 'nonsense'],
    ['holdfast-server', 'serve'],
    ['holdfast-server', 'serve', '--data', directory, '--port', 'many'],
    ['holdfast-updater'],
    ['holdfast-updater', 'nonsense'],
    ['holdfast-updater', 'status', '--nonsense'],
    ['holdfast-updater', 'install', '--root', nowhere],
    ['holdfast-updater', 'install', 'A', 'B', '--root', nowhere],
    ['holdfast-updater', 'status', 'extra', '--root', nowhere],
    ['holdfast-updater', 'rollback', 'extra', '--root', nowhere],
    ['holdfast-updater', 'check', 'extra', '--root', nowhere],
    ['holdfast-updater', 'put-aside', '1', 'A', 'B', '--root', nowhere],
    ['field page', '--nonsense'],
    ['bundle', 'nonsense'],
    ['bundle', 'build', '--component', 'app'],
    ['bundle', 'build', '--component', 'app', '--repository', nowhere, '--server-keys', keysFile, '--out', nowhere],
    ['launch', 'nonsense'],
    ['tuf', 'refresh'],
    ['tuf', '--nonsense'],
    ['tuf', '--metadata-dir', nowhere, 'nonsense'],
    ['soak', '--cycles', 'many'],
    ['crash', '--nonsense'],
    ['crash', '--kind', 'nonsense'],
    ['bench', 'nonsense'],
    ['story', '--nonsense'],
    ['the checks of the story'],
  ])('of %s ends with 2, and in words: %s %s', async (program, ...words) => {
    const { exitCode, stderr } = await run(program, ...words);
    expect({ exitCode, stderr }).toEqual({ exitCode: exitUsage, stderr: expect.any(String) });
    expectPlain(stderr);
  });
});

describe('an error with --json', () => {
  it.each<[number, Program, ...string[]]>([
    [exitUsage, 'holdfast', 'fleet', '--nonsense'],
    [exitUsage, 'holdfast-server', 'serve'],
    [exitUsage, 'holdfast-server', 'serve', '--data', directory, '--port', 'many'],
    [exitUsage, 'holdfast-updater', 'status', '--nonsense'],
    [exitUsage, 'holdfast-updater', 'status', 'extra', '--root', nowhere],
    [exitUsage, 'field page', '--nonsense'],
    [exitUsage, 'field page', 'page', '--root', nowhere, '--port', 'many'],
    [exitUsage, 'field page', '--root', directory, '--host', '192.0.2.1'],
    [exitFailed, 'holdfast-server', 'token', '--data', nowhere],
    [exitFailed, 'holdfast-server', 'backup', '--data', nowhere, '--out', nowhere],
  ])('is one line with its code, a sentence and what to do next: %i from %s %s', async (status, program, ...words) => {
    const { exitCode, stderr } = await run(program, ...words, '--json');
    expect({ exitCode, stderr }).toEqual({ exitCode: status, stderr: expect.not.stringContaining('\n') });
    const problem = z.strictObject({ code: z.string().min(1), message: z.string().min(1), next: z.string().min(1) });
    problem.parse(JSON.parse(stderr));
  });
});

describe('a file or a directory that is not there', () => {
  const places = ['--repository', join(directory, 'repository'), '--server-keys', keysFile];
  const build = ['build', '--component', 'app', ...places, '--out', join(directory, 'out')];

  it.each<[Program, ...string[]]>([
    ['holdfast', 'release', ...build, '--release', nowhere],
    ['holdfast', 'release', ...build, '--release', join(directory, 'odd')],
    ['holdfast', 'release', 'verify', nowhere],
    ['holdfast', 'keys', 'show', '--repository', nowhere],
    ['holdfast', 'keys', 'sign', nowhere, '--dry-run'],
    ['holdfast', 'keys', 'rotate', 'targets', '--repository', nowhere],
    ['holdfast', 'release', 'verify', directory],
    ['holdfast', 'demo', 'break'],
    ['holdfast', 'fleet'],
    ['bundle', ...build, '--version', '1.0.52', '--patch', nowhere],
    ['bundle', ...build, '--version', '1.0.52', '--source', nowhere],
    ['bundle', 'list', '--repository', nowhere, '--server-keys', nowhere],
    ['holdfast-server', 'backup', '--data', nowhere, '--out', nowhere],
    ['holdfast-server', 'restore', '--data', join(directory, 'new'), '--from', nowhere],
    ['holdfast-server', 'serve', '--data', join(directory, 'new'), '--tls-cert', nowhere, '--tls-key', nowhere],
    ['the checks of the story', nowhere],
    ...(['status', 'why', 'history', 'rollback', 'retry', 'check', 'plan', 'run', 'sources', 'put-aside'] as const).map(
      (command): [Program, ...string[]] => ['holdfast-updater', command, '--root', nowhere, '--no-wait'],
    ),
    ['holdfast-updater', 'install', nowhere, '--root', nowhere],
    ['holdfast-updater', 'sources', nowhere, '--root', nowhere],
    ['holdfast-updater', 'reset', 'counter', '--root', nowhere],
  ])('is said by %s in words: %s %s %s', async (program, ...words) => {
    const { exitCode, stderr } = await run(program, ...words);
    const status = program === 'the checks of the story' ? exitUsage : exitFailed;
    expect({ exitCode, stderr }).toEqual({ exitCode: status, stderr: expect.any(String) });
    expectPlain(stderr);
  });

  it('leaves nothing of a restore that was refused', () => {
    expect(readdirSync(directory)).not.toContain('new');
    expect(readdirSync(directory)).not.toContain('nowhere');
  });
});

describe('a program that is asked what it is', () => {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')));

  it.each<Program>(['holdfast', 'holdfast-server', 'holdfast-updater', 'field page'])(
    '%s says the version of its build, or of the package',
    async (program) => {
      expect(await run(program, '--version')).toMatchObject({ exitCode: exitDone, stdout: version, stderr: '' });
    },
  );

  const words = ['setup', 'run', 'status', 'why', 'check', 'history', 'sources', 'plan', 'install', 'rollback'];
  it.each([...words, 'put-aside', 'retry', 'reset'])(
    'holdfast-updater %s --help is about that command',
    async (command) => {
      const { exitCode, stdout } = await run('holdfast-updater', command, '--help');
      expect(exitCode).toBe(exitDone);
      const calls = stdout.split('\n').filter((line) => /^ {2}[a-z]/.test(line));
      expect(calls.every((line) => line.trim().startsWith(command))).toBe(true);
      expect(calls.length).toBeGreaterThan(0);
    },
  );

  it('the field page has a help of its own', async () => {
    const { exitCode, stdout } = await run('holdfast-updater', 'page', '--help');
    expect([exitCode, stdout]).toEqual([
      exitDone,
      expect.stringMatching(/^holdfast-updater page: .*--password-file FILE/s),
    ]);
  });

  it.each(['soak', 'crash', 'tuf', 'bundle', 'holdfast'] as const)('%s has help, and ends with 0', async (program) => {
    expect(await run(program, '--help')).toMatchObject({ exitCode: exitDone, stderr: '' });
  });
});
