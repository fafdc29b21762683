import { realFiles } from './files.ts';

/** A holder of a lock on a file, as the kernel reports it (proc_locks(5)). */
export interface LockHolder {
  /** Below 0: the lock belongs to no process of this machine. */
  readonly pid: number;
  /** Does it run as the user that updaters run as? */
  readonly isUpdater: boolean;
}
export type LockHolders = (inode: number) => readonly LockHolder[];

const locksBytesMax = 1024 * 1024;
const statusBytesMax = 16 * 1024;

/** procfs reports size 0, so it is read by a fixed length. */
function readProc(path: string, bytesMax: number): string | null {
  if (realFiles.stat(path) === null) return null;
  try {
    const handle = realFiles.openRead(path);
    try {
      return realFiles.read(handle, 0, bytesMax).toString('latin1');
    } finally {
      realFiles.close(handle);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null; // it has just ended
    throw error;
  }
}

/** null: it has ended, or this user may not know. */
function userOf(pid: number): number | null {
  const found = /^Uid:\s+(\d+)/m.exec(readProc(`/proc/${pid}/status`, statusBytesMax) ?? '')?.[1];
  return found === undefined ? null : Number(found);
}

/**
 * An updater's lock is SQLite's: POSIX, held by a process. A lock of an open file (OFDLCK) or of another machine is
 * never an updater's; both have a pid below 0. Locks of flock(2) and leases (FLOCK, LEASE) are not listed: they do not
 * block POSIX locks, and so explain nothing.
 */
const entryPattern = /^\d+: (POSIX|OFDLCK)\s+\S+\s+\S+\s+(-?\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /;
const noProcess = -1;

/**
 * Finds holders by inode number. A file with the same number on another file system can only add holders; an unknown
 * holder, such as a process that has ended or is of another pid namespace, counts as an updater.
 */
export const lockHolders: LockHolders = (inode) => {
  const lines = (readProc('/proc/locks', locksBytesMax) ?? '').split('\n');
  const pids = lines.flatMap((line) => {
    // `1: POSIX  ADVISORY  READ  1234 08:01:5678 0 EOF`; a waiting lock has `->` after its number.
    const [, type, pid, found] = entryPattern.exec(line) ?? [];
    if (Number(found) !== inode) return [];
    return [type === 'OFDLCK' ? noProcess : Number(pid)];
  });
  return [...new Set(pids)].map((pid) => ({ pid, isUpdater: pid >= 0 && mayBeUpdater(pid) }));
};

function mayBeUpdater(pid: number): boolean {
  const user = userOf(pid);
  return user === null || user === (process.getuid?.() ?? 0);
}
