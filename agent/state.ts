import { existsSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';
import { type Digest, sha256 } from '../protocol/digest.ts';
import { AgentError } from './errors.ts';
import { added, additions, migrations, stateSchema } from './migrations.ts';
import { clearTheWay, isUnusable, NotOursError } from './set-aside.ts';
import { storeTexts } from './texts.ts';

/** At a start, the agent waits this long for another process's lock (a backup, a person with a shell). */
const busyMs = 2_000;
/**
 * Afterwards it waits this long: a health answer has 2 s, and a statement in a shell must not lose the end of an order.
 */
const brieflyMs = 100;
/** Readings that state.db keeps: about a day's at one per second, and about 12 MB. */
const readingsMax = 100_000;

const readingColumns = ['n', 'name', 'value', 'sha256'] as const;

export interface Reading {
  readonly n: number;
  readonly name: string;
  /** null: the machine did not report one. */
  readonly value: number | null;
  readonly sha256: Digest;
}

export function readingName(n: number): string {
  return `reading-${n}`;
}

/** The digest of a row's canonical JSON: these fields, in this order, without blanks. */
export function readingDigest(n: number, value: number | null): Digest {
  return sha256(JSON.stringify({ n, name: readingName(n), value }));
}

/** The agent's state: what goes back with a slot when a release is rolled back. */
export class State {
  readonly schema: number;
  /** For what keeps tables of its own here. */
  readonly database: Database;

  constructor(database: Database, schema: number) {
    this.database = database;
    this.schema = schema;
  }

  add(n: number, value: number | null): Reading {
    const reading = { n, name: readingName(n), value, sha256: readingDigest(n, value) };
    this.database
      .transaction(() => {
        this.database
          .prepare('INSERT INTO readings (n, name, value, sha256) VALUES (?, ?, ?, ?)')
          .run(reading.n, reading.name, reading.value, reading.sha256);
        this.database.prepare('DELETE FROM readings WHERE n <= ?').run(n - readingsMax);
      })
      .immediate();
    return reading;
  }

  last(): Reading | null {
    const row = this.database.prepare<[], Reading>(
      'SELECT n, name, value, sha256 FROM readings ORDER BY n DESC LIMIT 1',
    );
    return row.get() ?? null;
  }

  /** A digest over the lines `name sha256` of all readings up to `n`, in order: what was acknowledged is there. */
  digestUpTo(n: number): { readonly count: number; readonly sha256: Digest; readonly first: number | null } {
    const rows = this.database
      .prepare<[number], Reading>('SELECT n, name, sha256 FROM readings WHERE n <= ? ORDER BY n')
      .all(n);
    const lines = rows.map((row) => `${row.name} ${row.sha256}\n`);
    return { count: rows.length, sha256: sha256(lines.join('')), first: rows[0]?.n ?? null };
  }

  close(): void {
    closeDatabase(this.database);
  }
}

/** Writes the log into the file, so that a snapshot of the stopped agent is one file, and closes. */
export function closeDatabase(database: Database): void {
  if (!database.open) return;
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.close();
}

/**
 * Once the database is open: while a statement waits, no health check is answered. A store that refuses is tried again
 * later.
 */
export function waitBriefly(database: Database): void {
  database.pragma(`busy_timeout = ${brieflyMs}`);
}

/** Durable at each commit: what is acknowledged must survive a power cut. */
export function openDatabase(path: string): Database {
  const database = new Sqlite(path, { timeout: busyMs });
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  return database;
}

function columnsOf(database: Database, table: string): string[] {
  return database
    .prepare<[string], { name: string }>('SELECT name FROM pragma_table_info(?)')
    .all(table)
    .map(({ name }) => name);
}

/** @throws NotOursError when the tables with our names are something else */
function schemaOf(database: Database): number {
  const [meta, readings] = [columnsOf(database, 'meta'), columnsOf(database, 'readings')];
  if (meta.length > 0 && !meta.includes('schema')) throw new NotOursError(storeTexts.otherMeta);
  const schema =
    meta.length === 0 ? 0 : (database.prepare<[], { schema: number }>('SELECT schema FROM meta').get()?.schema ?? 0);
  // A newer version's schema says only that it is newer, and this version must not give up its data (I3).
  if (Number.isInteger(schema) && schema > stateSchema) return schema;
  // Every schema since the first has these columns; before it, there is no such table.
  const isOurs = schema === 0 ? readings.length === 0 : readingColumns.every((name) => readings.includes(name));
  if (!Number.isInteger(schema) || schema < 0 || !isOurs) throw new NotOursError(storeTexts.otherReadings);
  return schema;
}

/**
 * @param schemaMax the newest schema of a version that could run here; undefined: unknown
 * @throws NotOursError when no version can have written that number: then it is damage that would keep every release
 * from starting
 */
function refuseNewer(schema: number, path: string, schemaMax: number | undefined): void {
  if (schema <= stateSchema) return;
  if (schemaMax !== undefined && schema > schemaMax)
    throw new NotOursError(storeTexts.schemaUnknown(schema, schemaMax));
  throw new AgentError(
    'state-too-new',
    storeTexts.schemaTooNew(path, schema, stateSchema),
    storeTexts.schemaTooNewNext,
  );
}

/** @throws NotOursError when something else has the name of one of them */
function addTables(database: Database): void {
  try {
    database.exec(additions);
    for (const sql of added) database.prepare(sql);
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError) || error.code !== 'SQLITE_ERROR') throw error;
    throw new NotOursError(error.message, { cause: error });
  }
}

/**
 * Opens state.db and migrates it in one transaction: after a power cut it has the old schema or the new one.
 * @param schemaMax the newest schema of a version that could run here; a number above it is damage
 * @throws AgentError `state-too-new` (the file is left as it was) | `state-unreadable`
 */
export function openState(path: string, schemaMax?: number): State {
  try {
    clearTheWay(path);
    // Read through a read-only handle first, so that a refused file is not even checkpointed.
    if (existsSync(path)) {
      const looking = new Sqlite(path, { readonly: true, timeout: busyMs });
      try {
        refuseNewer(schemaOf(looking), path, schemaMax);
      } finally {
        looking.close();
      }
    }
    const database = openDatabase(path);
    const migrate = database.transaction(() => {
      const from = schemaOf(database);
      refuseNewer(from, path, schemaMax);
      if (from === 0) database.exec('CREATE TABLE IF NOT EXISTS meta (schema INTEGER NOT NULL) STRICT');
      for (const step of migrations) if (step.schema > from) step.up(database);
      addTables(database);
      database.prepare('DELETE FROM meta').run();
      database.prepare('INSERT INTO meta (schema) VALUES (?)').run(stateSchema);
    });
    migrate.immediate();
    waitBriefly(database);
    return new State(database, stateSchema);
  } catch (cause) {
    if (!isUnusable(cause)) throw cause;
    throw new AgentError('state-unreadable', storeTexts.noDatabase(path), storeTexts.noDatabaseNext, { cause });
  }
}
