import type { Database } from 'better-sqlite3';

interface Migration {
  /** The schema that this step leads to. */
  readonly schema: number;
  readonly up: (database: Database) => void;
}

/** Steps of state.db, oldest first. A step that was ever shipped is never changed. */
export const migrations: readonly Migration[] = [
  {
    schema: 1,
    up: (database) => {
      database.exec(`
        CREATE TABLE readings (
          n INTEGER PRIMARY KEY,
          name TEXT NOT NULL,
          value REAL,
          sha256 TEXT NOT NULL
        ) STRICT;
      `);
    },
  },
];

/** The schema that this version writes, and the newest one that it reads. */
export const stateSchema = migrations.at(-1)?.schema ?? 0;

/**
 * Tables that older versions pass over: they are added without a new schema, so that the version before this one still reads
 * the state. A table that was ever shipped keeps its columns.
 */
export const additions = `
  CREATE TABLE IF NOT EXISTS duties (name TEXT PRIMARY KEY, progress TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS duty_values (
    duty TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (duty, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS duty_rows (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    duty TEXT NOT NULL,
    row TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS duty_rows_of ON duty_rows (duty, n);
`;
/** One statement for each of them: it fails on a table that only has the same name. */
export const added = [
  'SELECT name, progress FROM duties',
  'SELECT duty, key, value FROM duty_values',
  'SELECT n, duty, row FROM duty_rows',
] as const;
