import { lstatSync, renameSync, rmSync } from 'node:fs';
import Sqlite from 'better-sqlite3';

/** Whatever an earlier agent left in the place of a database must not keep this one from its work. */

/** What SQLite keeps beside a database; each belongs to it alone. */
const sideEnds = ['-wal', '-shm', '-journal'] as const;
/** Databases that are kept aside, of each name; the oldest one goes. */
const keptMax = 3;

function isFileOrMissing(path: string): boolean {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts === undefined || facts.isFile();
}

/** What is there is whole, and nothing that a version of the agent wrote. */
export class NotOursError extends Error {
  readonly code = 'not-ours';
}

/**
 * Takes away what stands where SQLite makes its own files.
 * @throws what {@link isUnusable} knows, where a database or its log is a link, a pipe or a directory
 */
export function clearTheWay(path: string): void {
  for (const end of ['', '-wal']) {
    if (!isFileOrMissing(`${path}${end}`)) throw new NotOursError(`${path}${end} is no file`);
  }
  for (const end of sideEnds) {
    if (!isFileOrMissing(`${path}${end}`)) rmSync(`${path}${end}`, { recursive: true, force: true });
  }
}

/** Keeps a database that can not be read, for whoever looks at it, and frees its name. @returns where it is kept */
export function setAside(path: string): string {
  const nameOf = (age: number) => `${path}.unreadable-${age}`;
  for (let age = keptMax; age >= 1; age -= 1) {
    for (const end of ['', ...sideEnds]) {
      const from = age === 1 ? `${path}${end}` : `${nameOf(age - 1)}${end}`;
      const to = `${nameOf(age)}${end}`;
      rmSync(to, { recursive: true, force: true });
      if (lstatSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, to);
    }
  }
  return nameOf(1);
}

/**
 * These bytes are no database, a broken one, or none of ours. A full or slow disk says something else, and so does a step
 * of a migration that fails: what a version can not bring forward is not its to give up.
 */
export function isUnusable(error: unknown): boolean {
  if (error instanceof NotOursError) return true;
  return error instanceof Sqlite.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code);
}
