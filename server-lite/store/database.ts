import Database from 'better-sqlite3';
import { makePrivateFile } from '../closed-directory.ts';
import { StartError } from '../start-error.ts';
import { startTexts } from '../texts.ts';
import { migrations } from './migrations.ts';
import { keepEmptied, requireHeader } from './unread-database.ts';

export type Db = Database.Database;

/** How long a start and a stop wait for another process (the sqlite3 shell) before they fail. */
const busyTimeoutMs = 2_000;

/** Another process holds the lock that a statement needs. */
export function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
}

/** @param isServing true: no statement waits, because everybody would wait with it (see write-turn.ts) */
export function setServing(db: Db, isServing: boolean): void {
  db.pragma(`busy_timeout = ${isServing ? 0 : busyTimeoutMs}`);
}

/** SQLite's codes for a file that is no database any more. */
export function isDamaged(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code);
}

/**
 * Opens the server's database and brings its schema up to date.
 * @throws StartError `database-too-new` when a newer Holdfast wrote it, `database-damaged`
 */
export function openDatabase(path: string): Db {
  requireHeader(path);
  keepEmptied(path);
  makePrivateFile(path);
  const db = new Database(path);
  try {
    db.pragma('journal_mode = WAL');
    // FULL: an appliance forgets an acknowledged event, so the event must survive a power cut here.
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    setServing(db, false);
    migrate(db, path);
    return db;
  } catch (cause) {
    db.close();
    if (!isDamaged(cause)) throw cause;
    const message = startTexts.databaseDamaged(path, cause instanceof Error ? cause.message : String(cause));
    throw new StartError('database-damaged', message, startTexts.restoreNext, { cause });
  }
}

function migrate(db: Db, path: string): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > migrations.length) {
    const message = startTexts.databaseTooNew(path, version, migrations.length);
    throw new StartError('database-too-new', message, startTexts.databaseTooNewNext);
  }
  for (const [index, step] of migrations.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(step);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}
