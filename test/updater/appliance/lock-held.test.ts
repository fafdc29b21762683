import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { type Lock, takeLock } from '../../../updater/appliance/lock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { lockHolders } from '../../../updater/effects/lock-holders.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { withOperations } from '../support/wrapped-files.ts';

const holder = join(import.meta.dirname, '../support/lock-holder.ts');
const reader = join(import.meta.dirname, '../support/lock-reader.ts');
const openFileLock = join(import.meta.dirname, '../support/open-file-lock.pl');
const isRoot = process.getuid?.() === 0;
/** Only root can start a process of another user; without it the holder is of the updater's own, and so is taken for one. */
const stranger = isRoot ? { uid: 64_123, gid: 64_123 } : {};
const here = join(import.meta.dirname, '../../..');

/** As an earlier version left it: SQLite made the file with what the umask leaves, in a directory for all to enter. */
function openToAll(layout: Layout): void {
  writeFileSync(layout.lock, '', { mode: 0o644 });
  for (const path of [layout.root, layout.updater]) chmodSync(path, 0o755);
}

/** A process of another user that holds a lock of the open file itself, which SQLite never takes. */
async function openFileLockOf(layout: Layout, kind: 'ofd' | 'flock', user = stranger): Promise<void> {
  const child = execa('perl', [openFileLock, layout.lock, kind], { reject: false, stdin: 'pipe', ...user, cwd: '/' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}

/** A process of another user that holds the shared lock that any reader of the file may take. */
async function heldByStranger(layout: Layout): Promise<void> {
  const options = { reject: false, stdin: 'pipe', ...stranger, cwd: here } as const;
  const child = execa(process.execPath, [reader, layout.lock], options);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}

describe('a lock that a process of another user holds', () => {
  it('does not keep the updater from its work: the file steps aside, and the new one is for root alone', async () => {
    const layout = temporaryAppliance();
    openToAll(layout);
    await heldByStranger(layout);
    const before = statSync(layout.lock).ino;
    expect(lockHolders(before)).toEqual([expect.objectContaining({ isUpdater: !isRoot })]);
    const lock = takeLock(layout);
    onTestFinished(() => lock?.release());
    expect(lock === null).toBe(!isRoot);
    expect(statSync(layout.lock).ino === before).toBe(!isRoot);
    expect(statSync(layout.lock).mode & 0o777).toBe(0o600);
    expect(existsSync(`${layout.lock}.damaged`)).toBe(isRoot);
    expect(takeLock(layout)).toBeNull();
  });

  it.each([['another user', stranger] as const, ['the same user', {}] as const])(
    'does not keep it either where it is one of an open file, of %s: no updater takes such a lock',
    async (_who, user) => {
      const layout = temporaryAppliance();
      openToAll(layout);
      await openFileLockOf(layout, 'ofd', user);
      const before = statSync(layout.lock).ino;
      expect(lockHolders(before)).toEqual([{ pid: -1, isUpdater: false }]);
      const lock = takeLock(layout);
      onTestFinished(() => lock?.release());
      expect(lock).not.toBeNull();
      expect(statSync(layout.lock).ino).not.toBe(before);
      expect(takeLock(layout)).toBeNull();
    },
  );

  it('is in no way of the updater where it is one of flock(2), and says nothing about who holds the other', async () => {
    const layout = temporaryAppliance();
    openToAll(layout);
    await openFileLockOf(layout, 'flock');
    const before = statSync(layout.lock).ino;
    expect(lockHolders(before)).toEqual([]);
    const lock = takeLock(layout);
    onTestFinished(() => lock?.release());
    expect(lock).not.toBeNull();
    expect(statSync(layout.lock).ino).toBe(before);
    expect(lockHolders(before)).toEqual([{ pid: process.pid, isUpdater: true }]);
    expect(takeLock(layout)).toBeNull();
  });

  it('is not the updater’s where it is one of the guard’s', async () => {
    const layout = temporaryAppliance();
    const guard = `${layout.lock}.change`;
    openToAll({ ...layout, lock: guard });
    await openFileLockOf({ ...layout, lock: guard }, 'ofd');
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    lock?.release();
  });

  it('stays where an updater holds it, whoever else reads it', async () => {
    const layout = temporaryAppliance();
    openToAll(layout);
    const child = execa(process.execPath, [holder, layout.root], { reject: false, stdin: 'pipe' });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const before = statSync(layout.lock).ino;
    expect(takeLock(layout)).toBeNull();
    expect(statSync(layout.lock).ino).toBe(before);
  });

  it('is given back when an updater took it between the look and the deed', () => {
    const layout = temporaryAppliance();
    openToAll(layout);
    const first = takeLock(layout);
    onTestFinished(() => first?.release());
    const before = statSync(layout.lock).ino;
    let looks = 0;
    // Twice it is a stranger's (without the guard and with it), then the updater's, as the kernel says.
    const late = () => {
      looks += 1;
      return [{ pid: 1, isUpdater: looks > 2 }];
    };
    expect(takeLock(layout, undefined, late)).toBeNull();
    expect(statSync(layout.lock).ino).toBe(before);
    expect(takeLock(layout)).toBeNull();
  });
});

describe('a lock file that nobody can lock', () => {
  it.each([
    ['half a JSON', (path: string) => writeFileSync(path, '{"x')],
    ['a megabyte of anything', (path: string) => writeFileSync(path, Buffer.alloc(1024 * 1024, 'no database '))],
    ['a directory', (path: string) => mkdirSync(join(path, 'within'), { recursive: true })],
    ['a link', (path: string) => symlinkSync('/etc/passwd', path)],
    ['a link to nothing', (path: string) => symlinkSync('/nowhere/at/all', path)],
  ])('steps aside when it is %s', (_what, damage) => {
    const layout = temporaryAppliance();
    damage(layout.lock);
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    expect(takeLock(layout)).toBeNull();
    lock?.release();
    expect(statSync(layout.lock)).toMatchObject({ size: 0 });
  });

  it('steps aside when it is a pipe, without waiting for a writer', async () => {
    const layout = temporaryAppliance();
    await execa('mkfifo', [layout.lock]);
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    lock?.release();
  });

  it('is made for the updater alone, whatever the umask', () => {
    const layout = temporaryAppliance();
    takeLock(layout)?.release();
    expect(statSync(layout.lock).mode & 0o777).toBe(0o600);
    expect(statSync(layout.lock).uid).toBe(process.getuid?.());
  });

  it('is made root’s again', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.lock, '', { mode: 0o644 });
    if (isRoot) chownSync(layout.lock, 64_123, 64_123);
    takeLock(layout)?.release();
    expect(statSync(layout.lock)).toMatchObject({ uid: process.getuid?.() });
    expect(statSync(layout.lock).mode & 0o777).toBe(0o600);
  });
});

describe('two updaters that find a damaged file at the same moment', () => {
  it('are not both at work: one of them makes it anew', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.lock, '{"x');
    const locks: (Lock | null)[] = [];
    let isFirst = true;
    const files = withOperations({
      // The other one begins between the first one's look and its deed.
      rename: (from, to) => {
        if (from === layout.lock && isFirst) {
          isFirst = false;
          locks.push(takeLock(layout));
        }
        realFiles.rename(from, to);
      },
    });
    locks.push(takeLock(layout, files));
    expect(isFirst).toBe(false);
    expect(locks.filter((lock) => lock !== null)).toHaveLength(1);
    for (const lock of locks) lock?.release();
  });
});

describe('many updaters that begin at once, where the file is damaged', () => {
  it('never let two of them be at work', async () => {
    const layout = temporaryAppliance();
    const racer = join(import.meta.dirname, '../support/lock-racer.ts');
    const guard = `${layout.lock}.change`;
    const damages = [
      () => writeFileSync(layout.lock, '{"x'),
      () => writeFileSync(layout.lock, ''),
      () => mkdirSync(`${layout.lock}-wal`),
      () => [layout.lock, guard].map((path) => writeFileSync(path, '{"x')),
      () => [layout.lock, guard].map((path) => mkdirSync(`${path}-journal`)),
    ];
    for (const damage of damages) {
      damage();
      const ran = await Promise.all(
        Array.from({ length: 4 }, () => execa(process.execPath, [racer, layout.root], { reject: false })),
      );
      // Each says when it held the lock, by the clock that all processes of a machine share.
      const spans = ran.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''));
      const held = spans.map((line) => line.split(' ').map(Number)).sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
      expect(held.length).toBeGreaterThan(0);
      for (const [index, [fromMs = 0]] of held.entries()) {
        expect(fromMs).toBeGreaterThan(held[index - 1]?.[1] ?? 0);
      }
    }
  });
});
