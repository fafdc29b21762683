import { accessSync, chmodSync, closeSync, constants, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { ImageError } from './errors.ts';
import { repositoryTexts } from './texts.ts';

/** Longer than any build holds it (it signs a few kilobytes), shorter than anybody's patience. */
const waitMsMax = 30_000;
const retryMs = 20;

const busy = 5; // SQLITE_BUSY
const full = 13; // SQLITE_FULL

/**
 * Runs `work` while nobody else, in this process or another, works on the repository. A lock of SQLite dies with its
 * process, so none is ever left over.
 * @throws ImageError `repository-busy`, `disk-full`; what the system says of the directory
 */
export async function withLock<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  // For a missing or closed directory, SQLite says only that it cannot open its file.
  accessSync(directory, constants.W_OK);
  const path = join(directory, 'lock.db');
  // Nor does it say why it cannot make the file.
  closeSync(openSync(path, 'a', 0o600));
  // A process that can open it can hold it: earlier versions made it readable for everybody.
  if (statSync(path).uid === process.getuid?.()) chmodSync(path, 0o600);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    for (let waitedMs = 0; !acquired(database, directory); waitedMs += retryMs) {
      if (waitedMs >= waitMsMax) {
        throw new ImageError(
          'repository-busy',
          repositoryTexts.inUse(directory, waitMsMax / 1000),
          repositoryTexts.inUseNext,
        );
      }
      await delay(retryMs);
    }
    return await work();
  } finally {
    // Closing rolls back, which releases the lock.
    database.close();
  }
}

/** @throws ImageError `disk-full` */
function acquired(database: DatabaseSync, directory: string): boolean {
  try {
    // Nothing is written: a journal would be one more name to make, on a disk that may have no room for it.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error)) throw error;
    if (error.errcode === busy) return false;
    if (error.errcode !== full) throw error;
    throw new ImageError('disk-full', repositoryTexts.diskFull(directory), repositoryTexts.diskFullNext, {
      cause: error,
    });
  }
}
