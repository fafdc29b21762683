import Database from 'better-sqlite3';
import { migrations } from './migrations.ts';

export type Db = Database.Database;

/** How long a statement waits for another process (a backup, the sqlite3 shell) before it fails. */
const busyTimeoutMs = 2_000;

class DatabaseTooNewError extends Error {
  readonly code = 'database-too-new';
}

/**
 * Opens the server's database and brings its schema up to date.
 * @throws DatabaseTooNewError when a newer Holdfast wrote it
 */
export function openDatabase(path: string): Db {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  // FULL: an event that was acknowledged to an appliance is forgotten there, so it must survive a power cut here.
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma(`busy_timeout = ${busyTimeoutMs}`);
  migrate(db, path);
  return db;
}

function migrate(db: Db, path: string): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > migrations.length) {
    db.close();
    throw new DatabaseTooNewError(
      `open ${path}: its schema ${version} is newer than ${migrations.length}, which this version knows`,
    );
  }
  for (const [index, step] of migrations.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(step);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}
