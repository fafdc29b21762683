import { statfsSync } from 'node:fs';
import { diskTexts } from './texts.ts';

/** Free space of a file system, for a program without privileges. */
export interface FreeSpace {
  readonly bytes: number;
  /** Files that can still be made (inodes); null: the file system has no bound. */
  readonly names: number | null;
}

/** Below this the server warns. */
export const lowSpace = { bytes: 256 * 1024 * 1024, names: 2_000 } as const;
/** Below this the next change may fail: a page of the database, its log and its directory. */
const leastSpace = { bytes: 64 * 1024, names: 4 } as const;
/** The file system is asked no more often than this. */
const askEveryMs = 2_000;

/** How little the disk has left. */
export interface SpaceTrouble {
  readonly kind: 'low' | 'full' | 'unknown';
  readonly sentence: string;
}

export interface DiskSpace {
  /** Logs when the trouble begins and when it ends. */
  trouble(): SpaceTrouble | null;
  /** Was this error caused by a full disk? */
  isFullError(error: unknown): boolean;
}

export interface DiskSpaceParts {
  readonly data: string;
  readonly freeAt: (path: string) => FreeSpace;
  readonly monoMs: () => number;
  readonly log: { warn(text: string): void };
}

/** @throws the system's error if the file system cannot be asked */
export function freeSpaceAt(path: string): FreeSpace {
  const { bavail, bsize, files, ffree } = statfsSync(path);
  return { bytes: bavail * bsize, names: files === 0 ? null : ffree };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** The codes of an error and of its causes. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) codes.push(codeOf(each));
  return codes;
}

function isBelow(free: FreeSpace, least: typeof lowSpace | typeof leastSpace): boolean {
  return free.bytes < least.bytes || (free.names !== null && free.names < least.names);
}

/**
 * Was this error caused by a full disk? SQLite has a code for no space, but none for a quota, nor for a file that could
 * not be made: for these the file system itself is asked.
 */
export function isDiskFull(error: unknown, free: () => FreeSpace): boolean {
  const codes = codesOf(error);
  if (codes.some((code) => code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL')) return true;
  return codes.some((code) => /^SQLITE_(IOERR|CANTOPEN)/.test(code)) && isBelow(free(), leastSpace);
}

function amountText({ bytes, names }: FreeSpace): string {
  const mib = bytes < 1024 * 1024 ? diskTexts.lessThanOneMib : diskTexts.mib(Math.floor(bytes / 1024 / 1024));
  return names !== null && names < lowSpace.names ? diskTexts.mibAndFiles(mib, names) : mib;
}

function judge(data: string, free: FreeSpace): SpaceTrouble | null {
  if (!isBelow(free, lowSpace)) return null;
  const where = diskTexts.diskOf(data);
  const left = diskTexts.roomFor(amountText(free));
  if (isBelow(free, leastSpace)) {
    return { kind: 'full', sentence: diskTexts.full(where, left) };
  }
  const least = diskTexts.least(lowSpace.bytes / 1024 / 1024, lowSpace.names);
  return { kind: 'low', sentence: diskTexts.nearlyFull(where, left, least) };
}

export function diskSpaceOf({ data, freeAt, monoMs, log }: DiskSpaceParts): DiskSpace {
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let last: SpaceTrouble | null = null;
  const ask = (): SpaceTrouble | null => {
    try {
      return judge(data, freeAt(data));
    } catch (error) {
      return { kind: 'unknown', sentence: diskTexts.freeSpaceUnreadable(data, String(error)) };
    }
  };
  const tell = (now: SpaceTrouble | null): void => {
    if (now?.kind === last?.kind) return;
    log.warn(now === null ? diskTexts.roomAgain(data) : now.sentence);
  };
  return {
    trouble: () => {
      if (monoMs() - askedAtMs < askEveryMs) return last;
      askedAtMs = monoMs();
      const now = ask();
      tell(now);
      last = now;
      return now;
    },
    isFullError: (error) => isDiskFull(error, () => freeAt(data)),
  };
}
