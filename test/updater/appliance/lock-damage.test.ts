import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LockError, takeLock } from '../../../updater/appliance/lock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { consequenceOf, knownNames } from '../../../updater/record/when-damaged.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { withOperations } from '../support/wrapped-files.ts';

const holder = join(import.meta.dirname, '../support/lock-holder.ts');

type Damage = (path: string) => unknown;
const damages: Readonly<Record<string, Damage>> = {
  'an empty file': (path) => writeFileSync(path, ''),
  'two pages of anything': (path) => writeFileSync(path, Buffer.alloc(8192, 7)),
  'a directory': (path) => mkdirSync(join(path, 'within'), { recursive: true }),
  'a pipe': (path) => execa('mkfifo', [path]),
  'a link to nothing': (path) => symlinkSync('/nowhere/at/all', path),
  'a link to itself': (path) => symlinkSync(path, path),
  'a socket': async (path) => {
    const server = createServer();
    onTestFinished(() => void server.close());
    server.listen(path);
    await once(server, 'listening');
  },
  'a file that nobody may read': (path) => {
    writeFileSync(path, '{"x', { mode: 0 });
    chmodSync(path, 0);
  },
};

const ofOneLock = ['', '-journal', '-wal', '-shm'] as const;
const names = ['lock.db', 'lock.db.change'].flatMap((name) => ofOneLock.map((end) => `${name}${end}`));

/** What an appliance has in updater/ after a run: a lock that was held, and is free. */
async function damaged(places: readonly string[], damage: Damage) {
  const layout = temporaryAppliance();
  takeLock(layout)?.release();
  for (const name of new Set(places)) {
    rmSync(join(layout.updater, name), { force: true });
    await damage(join(layout.updater, name));
  }
  return layout;
}

/** In a process of its own, which a pipe that is waited for does not keep. */
async function takenByAnother(root: string): Promise<string> {
  const { stdout } = await execa(process.execPath, [holder, root], { reject: false, input: '', timeout: 20_000 });
  return stdout;
}

describe('damage in the place of any file that SQLite touches for the lock', () => {
  const cases = Object.keys(damages).flatMap((what) => [
    ...names.map((name) => ({ what, places: [name] })),
    // The guard is taken only where the lock is damaged.
    ...names.slice(2).map((name) => ({ what, places: ['lock.db-journal', name] })),
    { what, places: names },
  ]);

  it.each(cases)('does not keep the updater from its work: $what as $places', async ({ what, places }) => {
    const layout = await damaged(places, damages[what] ?? expect.unreachable);
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    expect(takeLock(layout)).toBeNull();
    lock?.release();
    takeLock(layout)?.release();
    expect(statSync(layout.lock)).toMatchObject({ size: 0, uid: process.getuid?.() });
  });

  it.each(names.slice(1, 4))('is not waited for where the lock is no database either: a pipe as %s', async (name) => {
    const layout = await damaged([name], (path) => execa('mkfifo', [path]));
    writeFileSync(layout.lock, Buffer.alloc(8192, 7));
    expect(await takenByAnother(layout.root)).toBe('held');
  });

  it('steps aside whole, and no link is followed', async () => {
    const target = temporaryAppliance();
    writeFileSync(join(target.root, 'kept'), 'kept');
    const layout = await damaged(['lock.db-journal'], (path) => symlinkSync(join(target.root, 'kept'), path));
    mkdirSync(`${layout.lock}-wal/within`, { recursive: true });
    takeLock(layout)?.release();
    expect(statSync(join(target.root, 'kept'))).toMatchObject({ size: 4 });
    expect(existsSync(`${layout.lock}-wal.damaged/within`)).toBe(true);
    expect(realFiles.stat(`${layout.lock}-journal.damaged`)).toMatchObject({ kind: 'link' });
    expect(realFiles.stat(`${layout.lock}.damaged`)).toBeNull(); // the lock itself was sound
  });

  it('has a sentence for each name', () => {
    expect(names.filter((name) => !knownNames.includes(name))).toEqual([]);
    expect(names.map(consequenceOf).every((text) => text.includes('created again'))).toBe(true);
  });
});

describe('damage beside a lock that an updater holds', () => {
  it('stays as it is, and the second updater is told that one is at work', async () => {
    const layout = temporaryAppliance();
    const child = execa(process.execPath, [holder, layout.root], { reject: false, stdin: 'pipe' });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const before = statSync(layout.lock).ino;
    const sides = ofOneLock.slice(1).map((end) => `${layout.lock}${end}`);
    for (const side of sides) {
      rmSync(side, { force: true }); // SQLite has made a journal
      mkdirSync(side);
    }
    expect(takeLock(layout)).toBeNull();
    expect(statSync(layout.lock).ino).toBe(before);
    expect(sides.filter((side) => !statSync(side).isDirectory())).toEqual([]);
    child.kill('SIGKILL');
    await child;
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    expect(statSync(layout.lock).ino).toBe(before);
    lock?.release();
  });
});

describe('damage that cannot be cleared', () => {
  it.each(['lock.db-journal', 'lock.db.change-journal'])('stops the run, and says so: %s', async (name) => {
    const layout = await damaged(['lock.db-journal', name], (path) => mkdirSync(path, { recursive: true }));
    const files = withOperations({
      rename: (from, to) => {
        if (from === join(layout.updater, name)) throw Object.assign(new Error('immutable'), { code: 'EPERM' });
        realFiles.rename(from, to);
      },
    });
    expect(() => takeLock(layout, files)).toThrow(LockError);
    // It is in the way for as long as it is there, and not longer.
    rmSync(join(layout.updater, name), { recursive: true });
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    lock?.release();
  });

  it('is never taken for another updater, where each new file is damaged again', () => {
    const layout = temporaryAppliance();
    const files = withOperations({
      create: (path, mode) => {
        const handle = realFiles.create(path, mode);
        if (path === layout.lock) realFiles.write(handle, Buffer.alloc(8192, 7), 0);
        return handle;
      },
    });
    expect(() => takeLock(layout, files)).toThrow(expect.objectContaining({ code: 'lock-unusable' }));
  });
});
