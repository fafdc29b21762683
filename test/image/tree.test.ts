import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ImageError } from '../../image/errors.ts';
import { treeOf } from '../../image/tree.ts';

function payload(): { dir: string } & Disposable {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-tree-'));
  mkdirSync(join(dir, 'lib/deep'), { recursive: true });
  mkdirSync(join(dir, 'empty'));
  writeFileSync(join(dir, 'main.js'), 'main');
  writeFileSync(join(dir, 'lib/deep/tool'), 'tool', { mode: 0o755 });
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

describe('the tree of a payload', () => {
  it('has its files and its links, the links as they were written', async () => {
    using tree = payload();
    symlinkSync('main.js', join(tree.dir, 'a-link'));
    symlinkSync('../../main.js', join(tree.dir, 'lib/deep/up'));
    symlinkSync('lib/deep', join(tree.dir, 'directory'));
    const { files, links } = await treeOf(tree.dir);
    expect(files.map(({ path, executable }) => [path, executable])).toEqual([
      ['lib/deep/tool', true],
      ['main.js', false],
    ]);
    expect(links).toEqual([
      { path: 'a-link', target: 'main.js' },
      { path: 'directory', target: 'lib/deep' },
      { path: 'lib/deep/up', target: '../../main.js' },
    ]);
  });

  const refused: readonly (readonly [string, string, (dir: string, path: string) => unknown])[] = [
    ['a link to an absolute path', 'bad', (_, path) => symlinkSync('/etc/passwd', path)],
    ['a link to an absolute path inside', 'bad', (dir, path) => symlinkSync(join(dir, 'main.js'), path)],
    ['a link outside', 'bad', (_, path) => symlinkSync('../outside', path)],
    ['a link to nothing', 'bad', (_, path) => symlinkSync('nothing', path)],
    ['a link to an empty directory', 'bad', (_, path) => symlinkSync('empty', path)],
    ['a link to itself', 'bad', (_, path) => symlinkSync('bad', path)],
    ['a link by a detour', 'bad', (_, path) => symlinkSync('lib/../main.js', path)],
    ['a FIFO', 'bad', (_, path) => execFileSync('mkfifo', [path])],
    ['a name with a line break', 'b\nad', (_, path) => writeFileSync(path, '')],
    ['a name with a hidden character', 'b\u200bad', (_, path) => writeFileSync(path, '')],
    ['a name that is not text', 'bad', (dir) => writeFileSync(Buffer.from(`${dir}/b\xffad`, 'latin1'), '')],
    ['the seal of a slot', '.seal', (_, path) => writeFileSync(path, '')],
  ];

  it.each(refused)('refuses %s by its name', async (_name, name, make) => {
    using tree = payload();
    make(tree.dir, join(tree.dir, name));
    const refusal = await treeOf(tree.dir).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ImageError);
    expect(refusal).toMatchObject({ code: 'payload-invalid', message: expect.stringContaining(tree.dir) });
  });
});
