import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkout } from './checkout.ts';
import { openProgramCache, sourcesDigest, thisNode } from './program-cache.ts';

let dir: string;
let root: string;
let made: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hf-program-cache-'));
  root = join(dir, 'cache');
  made = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function make(directory: string): Promise<void> {
  made += 1;
  mkdirSync(join(directory, 'lib'));
  writeFileSync(join(directory, 'main.js'), 'the program');
  writeFileSync(join(directory, 'lib', 'part.js'), 'its part');
}

describe('a cache of built programs', () => {
  it('makes each once, and gives what was made', async () => {
    const first = await openProgramCache(root).directory('one', make);
    const again = await openProgramCache(root).directory('one', make);
    expect([made, again, readFileSync(join(again, 'lib', 'part.js'), 'utf8')]).toEqual([1, first, 'its part']);
    await openProgramCache(root).directory('two', make);
    expect([made, readdirSync(root).sort()]).toEqual([2, ['one', 'two']]);
  });

  it.each([
    ['a changed file', (entry: string) => writeFileSync(join(entry, 'content', 'main.js'), 'the progrbm')],
    ['a cut file', (entry: string) => writeFileSync(join(entry, 'content', 'main.js'), '')],
    ['a missing file', (entry: string) => rmSync(join(entry, 'content', 'lib', 'part.js'))],
    ['one file more', (entry: string) => writeFileSync(join(entry, 'content', 'stray.js'), '')],
    ['another mode', (entry: string) => chmodSync(join(entry, 'content', 'main.js'), 0o755)],
    ['no list', (entry: string) => rmSync(join(entry, 'entry.json'))],
    ['half of a list', (entry: string) => writeFileSync(join(entry, 'entry.json'), '{"main.js":')],
    ['a list of something else', (entry: string) => writeFileSync(join(entry, 'entry.json'), '[1]')],
    ['no content', (entry: string) => rmSync(join(entry, 'content'), { recursive: true })],
  ])('makes one anew that has %s', async (_, damage) => {
    const cache = openProgramCache(root);
    await cache.directory('one', make);
    damage(join(root, 'one'));
    const directory = await cache.directory('one', make);
    expect([made, readFileSync(join(directory, 'main.js'), 'utf8')]).toEqual([2, 'the program']);
    expect([readdirSync(directory).sort(), readdirSync(root)]).toEqual([['lib', 'main.js'], ['one']]);
  });

  it('gives both who make the same at once a whole one', async () => {
    let arrived = 0;
    let both = (): void => undefined;
    const areBoth = new Promise<void>((resolve) => {
      both = resolve;
    });
    const makeTogether = async (directory: string) => {
      arrived += 1;
      if (arrived === 2) both();
      await areBoth;
      await make(directory);
    };
    const [a, b] = await Promise.all([1, 2].map(() => openProgramCache(root).directory('one', makeTogether)));
    expect([made, a, readdirSync(root)]).toEqual([2, b, ['one']]);
    expect(readdirSync(a ?? '').sort()).toEqual(['lib', 'main.js']);
  });

  it('keeps nothing of a build that fails', async () => {
    const cache = openProgramCache(root);
    const failing = async (directory: string) => {
      await make(directory);
      throw new Error('it does not build');
    };
    await expect(cache.directory('one', failing)).rejects.toThrow('it does not build');
    expect(readdirSync(root)).toEqual([]);
  });

  it('keeps so many, the last used ones, all that may be in use, and nothing that was cut off', async () => {
    const endMs = 2_000_000_000_000;
    const cache = openProgramCache(root, { entriesMax: 2, inUseMs: 60_000 }, () => endMs);
    for (const name of ['old', 'older', 'young', 'fresh']) await cache.directory(name, make);
    mkdirSync(join(root, '.unfinished-1', 'content'), { recursive: true });
    for (const [index, name] of ['fresh', 'young', 'old', 'older', '.unfinished-1'].entries()) {
      const at = new Date(endMs - index * 50_000);
      utimesSync(join(root, name), at, at);
    }
    await cache.directory('newest', make);
    expect(readdirSync(root).sort()).toEqual(['fresh', 'newest', 'young']);
  });
});

describe('what a program is built from', () => {
  const source = () => join(dir, 'source');
  const changed = (path: string) => writeFileSync(path, `${readFileSync(path, 'utf8')}\n`);
  const node = thisNode();

  beforeEach(() => {
    for (const name of ['agent', 'updater', 'protocol', 'image', 'package.json', 'package-lock.json'])
      cpSync(join(checkout, name), join(source(), name), { recursive: true });
    mkdirSync(join(source(), 'node_modules'));
    cpSync(join(checkout, 'node_modules', '.package-lock.json'), join(source(), 'node_modules', '.package-lock.json'));
  });

  it('has one digest, wherever it lies', async () => {
    expect(await sourcesDigest(source(), node)).toBe(await sourcesDigest(checkout, node));
  });

  it.each([
    ['a source file is changed', () => changed(join(source(), 'agent', 'main.ts'))],
    ['a file of the protocol is changed', () => changed(join(source(), 'protocol', 'layout.ts'))],
    ['a source file is added', () => writeFileSync(join(source(), 'updater', 'run', 'new.ts'), '')],
    ['a source file is gone', () => rmSync(join(source(), 'agent', 'text.ts'))],
    [
      'a source file has another name',
      () => renameSync(join(source(), 'updater', 'run', 'run.ts'), join(source(), 'updater', 'run', 'runs.ts')),
    ],
    ['what builds is changed', () => changed(join(source(), 'image', 'emit.ts'))],
    ['package.json is changed', () => changed(join(source(), 'package.json'))],
    ['another package is wanted', () => changed(join(source(), 'package-lock.json'))],
    ['another package is installed', () => changed(join(source(), 'node_modules', '.package-lock.json'))],
    ['what is installed is not known', () => rmSync(join(source(), 'node_modules', '.package-lock.json'))],
  ])('has another digest once %s', async (_, change) => {
    const before = await sourcesDigest(source(), node);
    change();
    expect(await sourcesDigest(source(), node)).not.toBe(before);
  });

  it('has another digest with another Node', async () => {
    const before = await sourcesDigest(source(), node);
    const others = [
      { ...node, versions: { ...node.versions, node: '26.10.1' } },
      { ...node, versions: { ...node.versions, v8: '1.0' } },
      { ...node, arch: 'riscv64' },
      { ...node, bytes: node.bytes + 1 },
    ];
    const digests = await Promise.all(others.map((other) => sourcesDigest(source(), other)));
    expect(new Set([before, ...digests]).size).toBe(5);
  });
});
