import {
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { withDirectory } from '../../../updater/effects/held-directory.ts';
import { DiskFiles } from '../../crash/disk-files.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { withOperations } from '../support/wrapped-files.ts';

const stranger = { uid: 65_432, gid: 65_432 };
let layout: Layout;
let outside = '';
let held = '';
beforeEach(() => {
  layout = temporaryAppliance();
  [outside, held] = [join(layout.root, 'outside'), join(layout.root, 'held')];
  for (const path of [outside, held]) mkdirSync(path);
  writeFileSync(join(outside, 'file'), 'outside');
  writeFileSync(join(held, 'file'), 'own');
});
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a directory of a stranger', () => {
  it('is not entered through a link', () => {
    symlinkSync(outside, join(layout.root, 'link'));
    expect(() => withDirectory(realFiles, join(layout.root, 'link'), null, () => undefined)).toThrow(code('ENOTDIR'));
  });

  it('stays the one that was opened, whatever takes its name', () => {
    withDirectory(realFiles, held, null, (directory) => {
      renameSync(held, `${held}.moved`);
      symlinkSync(outside, held);
      expect(readFileSync(directory.at('file'), 'utf8')).toBe('own');
      realFiles.unlink(directory.at('file'));
      realFiles.rename(join(layout.root, 'held.moved'), `${held}.again`);
      expect(directory.names(10)).toEqual([]);
    });
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('outside');
  });

  it.each(['', '.', '..', '../outside/file', 'a/b', 'a\0b'])('has no name %j', (name) => {
    expect(() => withDirectory(realFiles, held, null, (directory) => directory.at(name))).toThrow(code('not-a-name'));
  });

  it('is refused where it is of another one, as root', async () => {
    await execa('chown', ['1:1', held]);
    expect(() => withDirectory(realFiles, held, stranger, () => undefined)).toThrow(code('not-its-owner'));
  });

  it('says what is wrong by the name that people know', () => {
    const failing = () => withDirectory(realFiles, held, null, (directory) => realFiles.openRead(directory.at('none')));
    expect(failing).toThrow(`${held}/none`);
  });

  it('gives only files of its owner that have one name and the size that they may have', async () => {
    linkSync(join(outside, 'file'), join(held, 'twin'));
    symlinkSync(join(outside, 'file'), join(held, 'link'));
    await execa('mkfifo', [join(held, 'pipe')]);
    withDirectory(realFiles, held, stranger, (directory) => {
      expect(directory.readOwn('file', 10).toString()).toBe('own');
      expect(() => directory.readOwn('file', 2)).toThrow(code('not-its-file'));
      expect(() => directory.readOwn('twin', 10)).toThrow(code('not-its-file'));
      expect(() => directory.own('twin', 0o600, stranger)).toThrow(code('not-its-file'));
      expect(() => directory.own('link', 0o600, stranger)).toThrow(code('not-its-file'));
      expect(() => directory.readOwn('link', 10)).toThrow(code('ELOOP'));
      expect(() => directory.readOwn('pipe', 10)).toThrow(code('not-a-regular-file'));
    });
    expect(realFiles.stat(join(outside, 'file'))).toMatchObject({ uid: process.getuid?.() });
  });

  it('would lead elsewhere, were it opened by following links', () => {
    symlinkSync(outside, join(layout.root, 'link'));
    const following = withOperations({
      openDirectory: (path) => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY),
    });
    withDirectory(following, join(layout.root, 'link'), null, (directory) => realFiles.unlink(directory.at('file')));
    expect(realFiles.stat(join(outside, 'file'))).toBeNull();
  });
});

describe('a tree of a stranger', () => {
  it('goes whole, however deep it is, and whatever its names are made of', async () => {
    // Longer than any path may be, so that only steps of one name lead there.
    const script = "for (let i = 0; i < 600; i += 1) { fs.mkdirSync('directory'); process.chdir('directory'); }";
    await execa(process.execPath, ['-e', script], { cwd: held });
    await execa('bash', ['-c', String.raw`mkdir $'\xff\xfe'; echo x > $'\xff\xfe/\xe9'; ln -s ${outside} l`], {
      cwd: held,
    });
    realFiles.removeTree(held);
    expect(realFiles.stat(held)).toBeNull();
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('outside');
  });

  it('goes without what its links lead to, and nothing happens where there is none', () => {
    symlinkSync(outside, join(held, 'link'));
    realFiles.removeTree(held);
    realFiles.removeTree(held);
    symlinkSync(outside, held);
    realFiles.removeTree(held);
    expect(realFiles.list(layout.root)).toContain('outside');
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('outside');
  });

  it('is swept of what is not to be kept, also of what is no text', async () => {
    await execa('bash', ['-c', String.raw`echo > $'\xff'; mkdir d; echo > d/x; echo > kept`], { cwd: held });
    const removed = withDirectory(realFiles, held, null, (directory) =>
      directory.sweep(100, (name) => name === 'kept'),
    );
    expect([removed, realFiles.list(held)]).toEqual([3, ['kept']]);
  });
});

/** The same on the disk in memory, on which the crash states are enumerated. */
describe.each([
  ['the disk', (): [Files, string] => [realFiles, held]],
  [
    'the disk in memory',
    (): [Files, string] => {
      const files = new DiskFiles();
      files.makeDirectory('/held', 0o700);
      files.close(files.create('/held/file', 0o600));
      return [files, '/held'];
    },
  ],
])('on %s', (_, make) => {
  it('what is held is worked in by its names, and stays what it is when its name changes', () => {
    const [files, path] = make();
    withDirectory(files, path, null, (directory) => {
      files.rename(path, `${path}.moved`);
      files.makeDirectory(path, 0o700);
      files.close(files.create(directory.at('new'), 0o600));
      files.rename(directory.at('file'), `${path}/moved-out`);
      directory.sync();
      expect(directory.names(10)).toEqual(['new']);
      expect(directory.stat('file')).toBeNull();
      expect(directory.sweep(10, () => false)).toBe(1);
    });
    expect([files.list(path), files.list(`${path}.moved`)]).toEqual([['moved-out'], []]);
    files.link(path, `${path}.link`);
    expect(() => withDirectory(files, `${path}.link`, null, () => undefined)).toThrow(code('ENOTDIR'));
  });
});
