import { describe, expect, it } from 'vitest';
import { readFile, writeNewFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import { type DiskState, emptyDisk } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { enumerate } from './enumerate.ts';
import { completeMax, crashImages } from './images.ts';
import { beginningRecordProcedure, recordProcedure, replaceProcedure } from './procedures.ts';

const bytesMax = 1 << 20;

function content(disk: DiskState, path: string): string | null {
  return readFile(new DiskFiles(disk), path, bytesMax)?.toString('latin1') ?? null;
}

/** What a file may hold after a cut, each different content once. */
function contents(disk: DiskState, path: string): Set<string | null> {
  return new Set(crashImages(disk, { samples: 10, seed: 1 }).images.map((image) => content(image.disk, path)));
}

function names(disk: DiskState, path: string, volatile: readonly string[] = []): Set<string> {
  const { images } = crashImages(disk, { samples: 10, seed: 1, volatile });
  return new Set(images.map((image) => new DiskFiles(image.disk).list(path).join(' ')));
}

function withFile(text: string): DiskFiles {
  const files = new DiskFiles();
  writeNewFile(files, '/a', Buffer.from(text), 0o600);
  files.syncDirectory('/');
  return files;
}

function write(files: Files, path: string, text: string, position = 0): void {
  const handle = files.openWrite(path);
  files.write(handle, Buffer.from(text), position);
  files.close(handle);
}

describe('the disk after a power cut', () => {
  it('keeps or loses a write that was not synced', () => {
    const files = withFile('old');
    write(files, '/a', 'new');
    expect(contents(files.disk, '/a')).toEqual(new Set(['old', 'new']));
  });

  it('may have a later write and not an earlier one', () => {
    const files = withFile('....');
    write(files, '/a', '11', 0);
    write(files, '/a', '22', 2);
    expect(contents(files.disk, '/a')).toEqual(new Set(['....', '11..', '..22', '1122']));
  });

  it('may tear a write between two sectors, either way round', () => {
    const files = withFile('-'.repeat(1_024));
    write(files, '/a', '+'.repeat(1_024));
    const half = { minus: '-'.repeat(512), plus: '+'.repeat(512) };
    expect(contents(files.disk, '/a')).toContain(half.plus + half.minus);
    expect(contents(files.disk, '/a')).toContain(half.minus + half.plus);
  });

  it('may have the new length of a file without its bytes', () => {
    const files = withFile('');
    write(files, '/a', 'new');
    expect(contents(files.disk, '/a')).toEqual(new Set(['', '\0\0\0', 'new']));
  });

  it('has what was synced', () => {
    const files = withFile('old');
    const handle = files.openWrite('/a');
    files.write(handle, Buffer.from('new'), 0);
    files.sync(handle);
    expect(contents(files.disk, '/a')).toEqual(new Set(['new']));
  });

  it('may lack the name of a file whose content was synced', () => {
    const files = new DiskFiles();
    writeNewFile(files, '/a', Buffer.from('a'), 0o600);
    expect(names(files.disk, '/')).toEqual(new Set(['', 'a']));
  });

  it('may lack the content of a file whose name was synced', () => {
    const files = new DiskFiles();
    files.write(files.create('/a', 0o600), Buffer.from('a'), 0);
    files.syncDirectory('/');
    expect(contents(files.disk, '/a')).toEqual(new Set(['', '\0', 'a']));
  });

  it('decides each change of a name by itself', () => {
    const files = new DiskFiles();
    for (const path of ['/a', '/b']) files.create(path, 0o600);
    expect(names(files.disk, '/')).toEqual(new Set(['', 'a', 'b', 'a b']));
  });

  it('has both names of a rename as they were, or both as they will be', () => {
    const files = withFile('a');
    files.rename('/a', '/b');
    expect(names(files.disk, '/')).toEqual(new Set(['a', 'b']));
    files.syncDirectory('/');
    expect(names(files.disk, '/')).toEqual(new Set(['b']));
  });

  it('decides a rename between two directories when both are synced', () => {
    const files = withFile('a');
    files.makeDirectory('/d', 0o700);
    files.syncDirectory('/');
    files.rename('/a', '/d/a');
    files.syncDirectory('/d');
    expect(names(files.disk, '/d')).toEqual(new Set(['', 'a']));
    files.syncDirectory('/');
    expect(names(files.disk, '/d')).toEqual(new Set(['a']));
  });

  it('never brings a name back over a later one that was synced', () => {
    const files = withFile('old');
    files.makeDirectory('/d', 0o700);
    files.syncDirectory('/');
    files.rename('/a', '/d/a');
    writeNewFile(files, '/a', Buffer.from('new'), 0o600);
    files.syncDirectory('/');
    expect(contents(files.disk, '/a')).toEqual(new Set(['new']));
  });

  it('loses all of tmpfs', () => {
    const files = new DiskFiles(emptyDisk(), undefined, ['run']);
    files.makeDirectory('/run', 0o700);
    files.syncDirectory('/');
    writeNewFile(files, '/run/hint', Buffer.from('x'), 0o600);
    files.syncDirectory('/run');
    expect(names(files.disk, '/run', ['run'])).toEqual(new Set(['']));
  });

  it('is not changed by what a program does after a snapshot of it', () => {
    const files = withFile('old');
    const { disk } = files;
    write(files, '/a', 'new');
    expect(content(disk, '/a')).toBe('old');
    expect(content(files.disk, '/a')).toBe('new');
  });

  it('is sampled, and says so, when too much is undecided', () => {
    const files = new DiskFiles();
    for (let n = 0; n <= completeMax; n += 1) files.create(`/${n}`, 0o600);
    const options = { samples: 20, seed: 3 };
    const { images, complete } = crashImages(files.disk, options);
    expect(complete).toBe(false);
    expect(crashImages(files.disk, options).images.map(({ digest }) => digest)).toEqual(
      images.map(({ digest }) => digest),
    );
  });
});

describe('two cuts anywhere', () => {
  it.each([
    ['a record that is written over', recordProcedure(), 10],
    ['a record that begins', beginningRecordProcedure(), 12],
    ['a file that is replaced', replaceProcedure(), 8],
  ])('do no harm to %s', (_, procedure, statesLeast) => {
    const { states, completePrefixes, sampledPrefixes, violations } = enumerate(procedure, { seed: 1 });
    expect(violations).toEqual([]);
    expect(sampledPrefixes).toBe(0);
    expect(completePrefixes).toBeGreaterThan(0);
    expect(states).toBeGreaterThanOrEqual(statesLeast);
  });
});
