import { constants } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { freeSpaceAt, isDiskFull } from './disk-space.ts';
import { newToken, storeToken } from './operator/token.ts';
import { requireOwnFiles } from './own-files.ts';
import { diskFullError, requireData, StartError } from './start-error.ts';
import { isDamaged } from './store/database.ts';
import { settingsOf } from './store/settings.ts';
import { requireContent } from './store/unread-database.ts';
import { startTexts } from './texts.ts';

/** How long the command waits for the server's own writes. */
const busyTimeoutMs = 5_000;

/**
 * Makes another operator token, while the server runs or not: the one before, and every session that it opened, ends with it.
 * @param keep writes or shows the token before it counts, so that one that nobody has seen replaces nothing
 * @throws StartError `no-data`, `data-not-accessible`, `database-damaged`, `disk-full`
 */
export async function replaceToken(data: string, keep: (token: string) => Promise<void>): Promise<void> {
  const path = join(data, 'server.db');
  requireData(data, constants.R_OK | constants.W_OK);
  requireOwnFiles(data);
  requireContent(path);
  const db = new Database(path, { fileMustExist: true, timeout: busyTimeoutMs });
  try {
    db.pragma('synchronous = FULL');
    const settings = settingsOf(db);
    const token = newToken();
    await keep(token);
    db.transaction(() => storeToken(settings, token)).immediate();
  } catch (cause) {
    if (isDiskFull(cause, () => freeSpaceAt(data))) throw diskFullError(cause, data);
    if (!isDamaged(cause)) throw cause;
    throw new StartError('database-damaged', startTexts.tokenDatabaseDamaged(path), startTexts.restoreNext, { cause });
  } finally {
    db.close();
  }
}
