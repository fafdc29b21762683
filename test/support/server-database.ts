import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The database of a server, which may be running, for looking and for damaging. */
export function openServerDatabase(data: string): Disposable & { readonly db: DatabaseSync } {
  const db = new DatabaseSync(join(data, 'server.db'), { timeout: 5_000, defensive: false });
  return { db, [Symbol.dispose]: () => db.close() };
}
