import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { makePrivateFile } from '../closed-directory.ts';
import { StartError } from '../start-error.ts';
import { startTexts } from '../texts.ts';
import { isDamaged } from './database.ts';

/** How long a start waits for a server that is stopping. */
const waitMs = 6_000;

export interface DataLock {
  release(): void;
}

/**
 * Allows one server, or one restore, at a time on a data directory: an exclusive transaction on a file beside the
 * database. It ends with its process, however that ends.
 * @throws StartError `data-directory-in-use`
 */
export function lockData(data: string): DataLock {
  const path = join(data, 'server.lock');
  try {
    return lockAt(path);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    // The file holds no data, so a new one is as good as this damaged one.
    rmSync(path);
    return lockAt(path);
  }
}

function lockAt(path: string): DataLock {
  makePrivateFile(path);
  const db = new Database(path, { timeout: waitMs });
  try {
    db.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    db.close();
    if (!(cause instanceof Database.SqliteError) || !cause.code.startsWith('SQLITE_BUSY')) throw cause;
    throw new StartError('data-directory-in-use', startTexts.directoryInUse(path), startTexts.directoryInUseNext, {
      cause,
    });
  }
  return { release: () => db.close() };
}
