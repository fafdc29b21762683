import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { storeTexts } from './texts.ts';

/** Whatever an earlier agent left in the place of a database must not keep this one from its work. */

/** Files that SQLite keeps beside a database; each belongs to that database alone. */
const sideEnds = ['-wal', '-shm', '-journal'] as const;
/** Databases kept aside per name; the oldest one is removed. */
const keptMax = 3;

function isFileOrMissing(path: string): boolean {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts === undefined || facts.isFile();
}

/** The file is whole, but no version of the agent wrote it. */
export class NotOursError extends Error {
  readonly code = 'not-ours';
}

/**
 * Removes whatever stands where SQLite creates its own files.
 * @throws what {@link isUnusable} recognizes, if a database or its log is a link, a pipe or a directory
 */
export function clearTheWay(path: string): void {
  for (const end of ['', '-wal']) {
    if (!isFileOrMissing(`${path}${end}`)) throw new NotOursError(storeTexts.noFile(path, end));
  }
  for (const end of sideEnds) {
    if (!isFileOrMissing(`${path}${end}`)) rmSync(`${path}${end}`, { recursive: true, force: true });
  }
}

/** Keeps an unreadable database for inspection and frees its name. @returns where it is kept */
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
 * The bytes are not a database, a broken one, or not ours. A full or slow disk reports other errors, and so does a
 * failing step of a migration: a version does not give up data that it cannot migrate.
 */
export function isUnusable(error: unknown): boolean {
  if (error instanceof NotOursError || error instanceof DamagedDatabaseError) return true;
  return error instanceof Sqlite.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code);
}

const markEnd = '.damaged';

/** A database that opens may be damaged further in: it is marked, so that the next start keeps it aside. */
export class DamagedDatabaseError extends Error {
  readonly code = 'database-damaged';
}

/** @throws DamagedDatabaseError always: this process ends, and the next one begins a new database */
export function giveUpDamaged(path: string, cause: Error): never {
  writeFileSync(`${path}${markEnd}`, '');
  throw new DamagedDatabaseError(storeTexts.damaged(path, cause.message), { cause });
}

/** @throws DamagedDatabaseError the process before this one met damage in it; the mark is gone */
export function refuseMarked(path: string): void {
  if (lstatSync(`${path}${markEnd}`, { throwIfNoEntry: false }) === undefined) return;
  rmSync(`${path}${markEnd}`, { recursive: true, force: true });
  throw new DamagedDatabaseError(storeTexts.damageFound);
}
