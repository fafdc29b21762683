import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { patchedSource } from '../../image/patch.ts';
import { sourceCommit } from '../../image/source-commit.ts';
import { fixtureTree, temporaryDirectory, writeTree } from './fixture-tree.ts';

function patchOf(path: string, before: string, after: string): string {
  return `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-${before}\n+${after}\n`;
}
const greeting = "export const greeting: string = 'hello';";
const changed = "export const greeting: string = 'changed';";

async function patchIn(directory: string, text: string, outDir = join(directory, 'copy')): Promise<string> {
  const sourceDir = await fixtureTree(join(directory, 'source'));
  await writeTree(directory, { 'release.patch': text });
  await patchedSource({ sourceDir, patchFile: join(directory, 'release.patch'), outDir });
  return readFile(join(outDir, 'protocol', 'greeting.ts'), 'utf8');
}

describe('a patched copy of the source', () => {
  it('has the change, and the source stays as it was', async () => {
    await using directory = await temporaryDirectory();
    const text = await patchIn(directory.path, patchOf('protocol/greeting.ts', greeting, changed));
    expect(text).toBe(`${changed}\n`);
    expect(await readFile(join(directory.path, 'source', 'protocol', 'greeting.ts'), 'utf8')).toBe(`${greeting}\n`);
  });

  it('has the change inside a directory that some repository holds, too', async () => {
    await using directory = await temporaryDirectory();
    await execa('git', ['init', '--quiet', directory.path]);
    const outDir = join(directory.path, 'deep', 'copy');
    await mkdir(outDir, { recursive: true });
    const text = await patchIn(directory.path, patchOf('protocol/greeting.ts', greeting, changed), outDir);
    expect(text).toBe(`${changed}\n`);
  });

  it.each([
    ['does not fit', patchOf('protocol/greeting.ts', 'something else', changed)],
    ['names a file that is not there', patchOf('server-lite/main.ts', greeting, changed)],
    ['leads outside', patchOf('../source/protocol/greeting.ts', greeting, changed)],
    ['is none', 'not a patch\n'],
    ['fits only in part', patchOf('protocol/greeting.ts', greeting, changed) + patchOf('agent/late.ts', 'x', 'y')],
  ])('is not made from a patch that %s', async (_name, text) => {
    await using directory = await temporaryDirectory();
    await expect(patchIn(directory.path, text)).rejects.toMatchObject({ code: 'patch-failed' });
  });
});

describe('the name of a source', () => {
  it('is its commit, and tells whether something was changed or patched in', async () => {
    await using directory = await temporaryDirectory();
    const source = await fixtureTree(directory.path);
    const git = (...args: string[]) =>
      execa('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: source });
    await git('init', '--quiet');
    await git('add', 'agent', 'updater', 'protocol', 'package.json');
    await git('commit', '--quiet', '-m', 'one');
    const { stdout: head } = await git('rev-parse', 'HEAD');
    expect(await sourceCommit(source, null)).toBe(head);
    await writeTree(source, { 'a.patch': 'x', 'b.patch': 'y' });
    const [a, b] = [
      await sourceCommit(source, join(source, 'a.patch')),
      await sourceCommit(source, join(source, 'b.patch')),
    ];
    expect(a).toMatch(new RegExp(`^${head}\\+[0-9a-f]{12}$`));
    expect(a).not.toBe(b);
    await writeTree(source, { 'agent/late.ts': 'export const late = 1;' });
    expect(await sourceCommit(source, null)).toMatch(new RegExp(`^${head}\\+[0-9a-f]{12}$`));
  });

  it('is its content where there is no history', async () => {
    await using directory = await temporaryDirectory();
    const source = await fixtureTree(directory.path);
    const before = await sourceCommit(source, null);
    expect(before).toMatch(/^no-history\+[0-9a-f]{12}$/);
    await writeTree(source, { 'agent/late.ts': 'export const late = 1;' });
    expect(await sourceCommit(source, null)).not.toBe(before);
  });
});
