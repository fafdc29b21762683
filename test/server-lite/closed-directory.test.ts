import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeBackup } from '../../server-lite/backup/make-backup.ts';
import { restoreBackup } from '../../server-lite/backup/restore.ts';
import { TestServer } from '../support/test-server.ts';

/** Names and modes of what lies in a data directory, and of its keys; others' own files are left out. */
function modes(data: string): Record<string, string> {
  const names = ['.', ...readdirSync(data), ...readdirSync(join(data, 'keys')).map((name) => join('keys', name))];
  return Object.fromEntries(names.map((name) => [name, (lstatSync(join(data, name)).mode & 0o777).toString(8)]));
}

function open(data: string): string[] {
  const isDirectory = (name: string) => lstatSync(join(data, name)).isDirectory();
  return Object.entries(modes(data))
    .filter(([name, mode]) => name !== 'public-keys.json' && mode !== (isDirectory(name) ? '700' : '600'))
    .map(([name, mode]) => `${name} ${mode}`);
}

describe("a server's data", () => {
  it('is for its owner alone from the beginning', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    expect(Object.keys(modes(bench.data))).toEqual(expect.arrayContaining(['server.db', 'server.db-wal', 'keys']));
    expect(open(bench.data)).toEqual([]);
  });

  it('is so again, whatever there was before, and what is not its own stays as it is', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    await bench.stop();
    writeFileSync(join(bench.data, 'notes.txt'), 'mine', { mode: 0o644 });
    for (const name of ['.', 'keys', 'releases']) chmodSync(join(bench.data, name), 0o755);
    for (const name of ['server.db', 'server.lock', 'keys/answer.pem']) chmodSync(join(bench.data, name), 0o666);
    await bench.run();
    expect(open(bench.data)).toEqual(['notes.txt 644']);
  });

  it('is so after a restore into a directory that was open', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const [out, nowMs] = [join(bench.directory, 'backup.tar'), bench.clock.nowMs()];
    const { file } = await makeBackup({ data: bench.data, out, replace: false, version: '1.2.3', nowMs });
    expect((lstatSync(file).mode & 0o777).toString(8)).toBe('600');
    const data = join(bench.directory, 'other');
    mkdirSync(data, { mode: 0o755 });
    await restoreBackup({ data, from: file, replace: false, nowMs: bench.clock.nowMs() });
    expect(open(data)).toEqual([]);
  });

  it('is so where a link names its directory', async () => {
    await using bench = await TestServer.start();
    await bench.stop();
    const real = join(bench.directory, 'real');
    renameSync(bench.data, real);
    symlinkSync(real, bench.data);
    chmodSync(real, 0o755);
    await bench.run();
    expect(open(real)).toEqual([]);
  });

  it('does not close a directory that is for everybody', async () => {
    await using bench = await TestServer.start();
    await bench.stop();
    chmodSync(bench.data, 0o1777);
    writeFileSync(join(bench.data, 'notes.txt'), "somebody's");
    await expect(bench.run()).rejects.toMatchObject({ code: 'data-directory-shared' });
    rmSync(join(bench.data, 'notes.txt'));
    await bench.run();
    expect(open(bench.data)).toEqual([]);
  });
});
