import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import type { Layout } from '../../protocol/layout.ts';
import { asideEnd, setMode } from '../effects/durable.ts';
import { type Files, realFiles } from '../effects/files.ts';
import { setAside } from '../effects/kept-file.ts';
import { type LockHolders, lockHolders } from '../effects/lock-holders.ts';
import { applianceTexts } from '../words/texts.ts';

/** Held by the one updater at work. */
export interface Lock {
  release(): void;
}

export class LockError extends Error {
  readonly code = 'lock-unusable';
}

/**
 * Looks at the lock file, each after something was put right or the file was replaced; a sixth look would show nothing
 * new.
 */
const looksMax = 5;
const lockMode = 0o600;
/**
 * Files that SQLite looks for beside a database. It creates only regular files there; a lock has no content to recover.
 */
const sideEnds = ['-journal', '-wal', '-shm'] as const;
/** SQLITE_BUSY and SQLITE_READONLY: faults of the disk, not of this file. */
const busy = 5;
const readOnly = 8;

type Attempt =
  | { readonly kind: 'held'; readonly lock: Lock }
  | { readonly kind: 'busy' }
  /** The file, or something beside it, makes locking impossible, or a process that is not an updater holds the lock. */
  | { readonly kind: 'unusable' }
  | { readonly kind: 'missing' };

/**
 * An exclusive transaction on a file that only root can open: it dies with its process. A damaged file, or one locked
 * by a process that is not root's, is moved aside; only one updater at a time does that, under a second lock, so that
 * two updaters cannot both create a new file and both be at work.
 * @returns null when another updater is at work, and for no other reason
 * @throws LockError
 */
export function takeLock(layout: Layout, files: Files = realFiles, holders: LockHolders = lockHolders): Lock | null {
  const first = attempt(files, layout.lock, holders);
  if (first.kind === 'held') return first.lock;
  if (first.kind === 'busy') return null;
  const guard = takeOrMake(files, `${layout.lock}.change`, holders);
  if (guard === null) return null;
  try {
    return takeOrMake(files, layout.lock, holders);
  } finally {
    guard.release();
  }
}

/**
 * The lock itself is handled under the guard, so that no other updater creates or moves the file; the guard only when
 * it is damaged.
 */
function takeOrMake(files: Files, path: string, holders: LockHolders): Lock | null {
  for (let look = 0; look < looksMax; look += 1) {
    const found = attempt(files, path, holders);
    if (found.kind === 'held') return found.lock;
    if (found.kind === 'busy') return null;
    if (found.kind === 'unusable' && !sidesStepAside(files, path) && !stepsAside(files, path, holders)) return null;
    makeLockFile(files, path);
  }
  throw new LockError(applianceTexts.cannotBeLocked(path));
}

/**
 * A directory, a link, a pipe or a socket in the place of a side file: SQLite refuses it, waits for it or follows it.
 */
function strangeSides(files: Files, path: string): readonly string[] {
  const paths = sideEnds.map((end) => `${path}${end}`);
  return paths.filter((side) => (files.stat(side)?.kind ?? 'file') !== 'file');
}

/** @returns whether there was any */
function sidesStepAside(files: Files, path: string): boolean {
  const strange = strangeSides(files, path);
  for (const side of strange) {
    if (!setAside(files, side)) throw new LockError(applianceTexts.cannotBeMoved(side));
  }
  return strange.length > 0;
}

/** @returns false: an updater took the lock of this file between the look and the move, and the file is back */
function stepsAside(files: Files, path: string, holders: LockHolders): boolean {
  const before = files.stat(path)?.inode;
  if (!setAside(files, path)) {
    if (files.stat(path)?.inode !== before) return true; // another updater moved it, and created it again
    throw new LockError(applianceTexts.neitherLockedNorMoved(path));
  }
  // The moved file may not be the one that was looked at.
  const moved = files.stat(`${path}${asideEnd}`)?.inode;
  if (moved === undefined || !hasUpdater(holders, moved)) return true;
  files.rename(`${path}${asideEnd}`, path);
  return false;
}

function hasUpdater(holders: LockHolders, inode: number): boolean {
  return holders(inode).some(({ isUpdater }) => isUpdater);
}

function makeLockFile(files: Files, path: string): void {
  if (files.stat(path) !== null) return;
  try {
    files.close(files.create(path, lockMode));
    files.syncDirectory(dirname(path));
  } catch (error) {
    // Another updater that starts at this moment has created it.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

function attempt(files: Files, path: string, holders: LockHolders): Attempt {
  const facts = files.stat(path);
  if (facts === null) return { kind: 'missing' };
  if (facts.kind !== 'file') return { kind: 'unusable' };
  putRight(files, path, facts);
  // The file is not even opened: SQLite would wait for a pipe.
  if (strangeSides(files, path).length > 0)
    return { kind: hasUpdater(holders, facts.inode ?? 0) ? 'busy' : 'unusable' };
  let database: DatabaseSync | null = null;
  try {
    // Only an existing file is opened: the holder of the guard alone creates one, so if the name means the same file
    // before and after, that file was opened.
    const opened = new DatabaseSync(Object.assign(pathToFileURL(path), { search: '?mode=rw' }));
    database = opened;
    // Nothing is written, not even to an empty file: a full disk must not stop the updater.
    opened.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    if (files.stat(path)?.inode !== facts.inode) return { kind: 'busy' };
    database = null;
    return { kind: 'held', lock: { release: () => opened.close() } };
  } catch (error) {
    const code = sqliteCode(error);
    if (code === null || code === readOnly) throw error;
    if (code !== busy) return { kind: 'unusable' };
    const held = holders(facts.inode ?? 0);
    return { kind: held.length > 0 && held.every(({ isUpdater }) => !isUpdater) ? 'unusable' : 'busy' };
  } finally {
    database?.close();
  }
}

/**
 * Earlier versions created the file with the rights that the umask left: any process that could reach it could hold it.
 */
function putRight(files: Files, path: string, { mode, uid }: { readonly mode: number; readonly uid: number }): void {
  const self = process.getuid?.();
  if (self === 0 && uid !== 0) files.setOwner(path, 0, 0);
  if (mode !== lockMode && (self === 0 || self === uid)) setMode(files, path, lockMode);
}

function sqliteCode(error: unknown): number | null {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : null;
}
