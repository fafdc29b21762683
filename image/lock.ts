import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { ImageError } from './errors.ts';

/** Longer than any build holds it (it signs a few kilobytes), shorter than anybody's patience. */
const waitMsMax = 30_000;
const retryMs = 20;

const busy = 5; // SQLITE_BUSY

/**
 * Runs `work` while nobody else, in this process or another, works on the repository. A lock of SQLite dies with its
 * process, so none is ever left over.
 * @throws ImageError `repository-busy`
 */
export async function withLock<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  const database = new DatabaseSync(join(directory, 'lock.db'), { timeout: 0 });
  try {
    for (let waitedMs = 0; !acquired(database); waitedMs += retryMs) {
      if (waitedMs >= waitMsMax) {
        throw new ImageError(
          'repository-busy',
          `the release repository ${directory} was in use for ${waitMsMax / 1000} s`,
          'see which other build holds it, then build again',
        );
      }
      await delay(retryMs);
    }
    return await work();
  } finally {
    // Closing rolls back, which lets go of the lock.
    database.close();
  }
}

function acquired(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === busy) return false;
    throw error;
  }
}
