import { DatabaseSync } from 'node:sqlite';

/** Whoever opens a database whose process was killed puts it in order first, and keeps it to himself meanwhile. */
const busyMs = 30_000;

/** Another process's database, as it is now. */
export function readOnlyDatabase(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: busyMs });
}
