import { closeSync, existsSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { syncDirectory } from '../keys.ts';
import { StartError } from '../start-error.ts';
import { startTexts } from '../texts.ts';

/**
 * A database that SQLite would not know as one. It deletes the `-wal` beside such a file as soon as it opens it, and with it
 * what a person could still get back: so it is looked at before.
 */

/** The first bytes of every database (SQLite's file format, section 1.3). */
const header = Buffer.from('SQLite format 3\0');

function beginsAsDatabase(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const first = Buffer.alloc(header.length);
    readSync(file, first, 0, first.length, 0);
    return first.equals(header);
  } finally {
    closeSync(file);
  }
}

/** @throws StartError `database-damaged`: it has a content, and not that of a database; nothing was touched */
export function requireHeader(path: string): void {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes === 0 || beginsAsDatabase(path)) return;
  const message = startTexts.databaseDamaged(path, startTexts.noHeader);
  throw new StartError('database-damaged', message, startTexts.restoreNext);
}

/** For a command on an existing database. @throws StartError `database-damaged`, also where it is empty */
export function requireContent(path: string): void {
  requireHeader(path);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  throw new StartError('database-damaged', startTexts.emptyDatabase(path), startTexts.restoreNext);
}

/** An empty database with a log of changes is no new one: both are kept under another name. */
export function keepEmptied(path: string): void {
  const log = `${path}-wal`;
  const isEmptied = (statSync(path, { throwIfNoEntry: false })?.size ?? 1) === 0;
  if (!isEmptied || (statSync(log, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  let number = 1;
  while (keptAs(path, number).some((each) => existsSync(each))) number += 1;
  const [database, changes] = keptAs(path, number);
  // The log first: a power cut between the two leaves an empty database, which is begun anew.
  renameSync(log, changes);
  renameSync(path, database);
  syncDirectory(dirname(path));
}

/** SQLite finds the log of a database by its name. */
function keptAs(path: string, number: number): [database: string, log: string] {
  return [`${path}.damaged-${number}`, `${path}.damaged-${number}-wal`];
}

/** The newest one that was kept, as its name; null: none was. */
export function newestKept(path: string): string | null {
  let number = 0;
  while (keptAs(path, number + 1).some((each) => existsSync(each))) number += 1;
  return number === 0 ? null : basename(keptAs(path, number)[0]);
}
