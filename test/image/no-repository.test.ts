import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { treeDigest } from '../support/hostile/tree-digest.ts';
import { checkout, nodeBinary, temporaryDirectory, writeTree } from './fixture-tree.ts';

const main = join(checkout, 'image', 'main.ts');
const run = (...args: string[]) => execa(nodeBinary, [main, ...args], { reject: false });

/** Every command that works on a repository, but `keys init`. */
const commands: readonly (readonly string[])[] = [
  ['build', '--component', 'app', '--version', '1.0.0', '--out', 'OUT'],
  ['build', '--component', 'app', '--version', '1.0.0', '--out', 'OUT', '--dry-run'],
  ['build', '--component', 'updater', '--version', '1.0.0', '--out', 'OUT'],
  ['build', '--component', 'os', '--version', '1.0.0', '--out', 'OUT', '--image', 'FILE', '--sbom', 'FILE'],
  ['revoke', 'app', '1.0.0'],
  ['revoke', 'app', '1.0.0', '--dry-run'],
  ['list'],
  ['sources', 'show'],
  ['sources', 'set', 'FILE'],
  ['sources', 'clear'],
  ['keys', 'show'],
  ['keys', 'rotate', 'targets'],
];

async function bench(directory: string) {
  const key = () => generateKeyPair().publicKey;
  await writeTree(directory, {
    'public-keys.json': JSON.stringify({ answer: key(), snapshot: key(), timestamp: key() }),
    'sources.json': '{ "releases": [] }',
    'typed-wrong/notes.txt': 'a directory of somebody else',
  });
  const places: Readonly<Record<string, string>> = {
    OUT: join(directory, 'out'),
    FILE: join(directory, 'sources.json'),
  };
  const words = (command: readonly string[]) => command.map((word) => places[word] ?? word);
  const serverKeys = ['--server-keys', join(directory, 'public-keys.json')];
  const at = (command: readonly string[], repository: string) => [
    ...words(command),
    ...['--repository', repository],
    ...(command[0] === 'keys' && command[1] === 'show' ? [] : serverKeys),
  ];
  return { at, serverKeys };
}

describe('a repository whose name was typed wrong', () => {
  it.each(commands.map((command) => [command.slice(0, 3).join(' '), command] as const))(
    'is refused by %s, which makes no key and no file',
    async (_, command) => {
      await using directory = await temporaryDirectory();
      const { at } = await bench(directory.path);
      const before = treeDigest(directory.path);
      for (const name of ['not-there', 'typed-wrong']) {
        const { exitCode, stdout, stderr } = await run(...at(command, join(directory.path, name)));
        expect([exitCode, stdout], stderr).toEqual([1, '']);
        expect(stderr).toContain(
          '(repository-empty)\nwhat to do: check the name; a new repository begins with: keys init',
        );
      }
      expect(treeDigest(directory.path)).toEqual(before);
    },
  );
});

describe('a repository that is not whole', () => {
  it('is neither used nor begun again: what its targets listed is nowhere else', async () => {
    await using directory = await temporaryDirectory();
    const { at, serverKeys } = await bench(directory.path);
    const dir = join(directory.path, 'repository');
    expect((await run('keys', 'init', '--repository', dir, ...serverKeys)).exitCode).toBe(0);
    await rm(join(dir, 'metadata', 'targets.json'));
    const listed = await run(...at(['list'], dir));
    expect([listed.exitCode, listed.stderr]).toEqual([1, expect.stringContaining('(repository-damaged)')]);
    expect(existsSync(join(dir, 'metadata', 'targets.json'))).toBe(false);
    const again = await run('keys', 'init', '--repository', dir, ...serverKeys);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining('no whole repository')]);
  });

  it('is not left by a keys init on a full disk, wherever it was full: it can be repeated', async () => {
    await using directory = await temporaryDirectory();
    const { serverKeys } = await bench(directory.path);
    const dir = join(directory.path, 'repository');
    await mkdir(dir);
    await execa('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'tmpfs', dir]);
    const init = ['keys', 'init', '--repository', dir, ...serverKeys];
    let refusals = 0;
    try {
      for (let names = 4; ; names += 2) {
        await execa('mount', ['-o', `remount,nr_inodes=${names}`, dir]);
        const { exitCode, stderr } = await run(...init);
        if (exitCode === 0) break;
        expect(stderr, `${names} names`).toContain('(disk-full)');
        const keys = existsSync(join(dir, 'keys')) ? await readdir(join(dir, 'keys')) : [];
        expect(keys, `${names} names`).toEqual([]);
        refusals += 1;
      }
    } finally {
      await execa('umount', [dir]);
    }
    expect(refusals).toBeGreaterThan(3);
  });

  it('is told when keys init was cut off before its root', async () => {
    await using directory = await temporaryDirectory();
    const { at, serverKeys } = await bench(directory.path);
    const dir = join(directory.path, 'repository');
    await writeTree(dir, { 'keys/root-1.pem.new': 'half' });
    expect((await run('keys', 'init', '--key', join(dir, 'keys', 'root-1.pem'))).exitCode).toBe(0);
    const again = await run('keys', 'init', '--repository', dir, ...serverKeys);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining('a keys init was cut off here')]);
    await writeFile(join(dir, 'keys', 'note'), '');
    expect((await run(...at(['list'], dir))).stderr).toContain('(repository-empty)');
  });
});
