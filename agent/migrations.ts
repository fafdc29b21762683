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
