import { randomUUID } from 'node:crypto';
import Sqlite, { type Database } from 'better-sqlite3';
import { type Digest, sha256 } from '../protocol/digest.ts';
import { type EventInput, eventsPerCheckInMax } from '../protocol/event.ts';
import type { Log } from './effects/effects.ts';
import { clearTheWay, isUnusable, NotOursError, setAside } from './set-aside.ts';
import { closeDatabase, openDatabase } from './state.ts';

/** Acknowledged events that are kept, so that a server that was restored from a backup can be offered them again. */
const acknowledgedMax = 100_000;
/** JSON of all events of one check-in; the rest of its 16 KiB is for what surrounds them. */
const batchBytesMax = 13 * 1024;

/** Frozen for ever: every version, older ones too, writes this file, and no rollback restores it. */
const schema = `
  CREATE TABLE IF NOT EXISTS events (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record TEXT,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    acked INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX IF NOT EXISTS events_waiting ON events (n) WHERE acked = 0;
  CREATE INDEX IF NOT EXISTS events_record ON events (record) WHERE record IS NOT NULL;
  CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS words (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`;

/** The `prev` of the first event. */
const chainStart = '0'.repeat(64);

export type NewEvent = Omit<EventInput, 'id' | 'n' | 'at'>;
export type CounterName = 'seq' | 'reading' | 'issuedAtS';

/** @returns the link that this event adds to the chain of evidence */
export function chainHash(prev: Digest, body: string): Digest {
  return sha256(`${prev}\n${body}`);
}

/** Who opened state.db, by its own word. */
export interface StateOpener {
  readonly version: string;
  /** The transaction whose trial it was; null: none. */
  readonly trialTx: number | null;
}

/** Events wait here until the server has them; also the file of the order ledger and of the counters. */
export class Outbox {
  readonly database: Database;
  readonly #at: () => EventInput['at'];

  constructor(database: Database, at: () => EventInput['at']) {
    this.database = database;
    this.#at = at;
  }

  /** Adds one event at the end of the chain; durable when this returns, unless a transaction is open around it. */
  append(event: NewEvent): void {
    this.database
      .transaction(() => {
        const head = this.database
          .prepare<[], { n: number; hash: string }>('SELECT n, hash FROM events ORDER BY n DESC LIMIT 1')
          .get();
        const n = (head?.n ?? 0) + 1;
        const prev = head?.hash ?? chainStart;
        const id = randomUUID();
        const body = JSON.stringify({ id, n, at: this.#at(), ...event } satisfies EventInput);
        this.database
          .prepare('INSERT INTO events (n, id, record, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?)')
          .run(n, id, event.record?.name ?? null, body, prev, chainHash(prev, body));
      })
      .immediate();
  }

  hasRecord(name: string): boolean {
    return this.database.prepare('SELECT 1 FROM events WHERE record = ?').get(name) !== undefined;
  }

  waiting(): number {
    return (
      this.database.prepare<[], { count: number }>('SELECT count(*) AS count FROM events WHERE acked = 0').get()
        ?.count ?? 0
    );
  }

  /**
   * The oldest events that wait, as many as one check-in holds; as they were written, by whichever version. None before the
   * first answer: it says which numbers an earlier outbox of this appliance has used.
   */
  batch(): unknown[] {
    if (this.#word('epoch') === null) return [];
    const rows = this.database
      .prepare<[number], { body: string }>('SELECT body FROM events WHERE acked = 0 ORDER BY n LIMIT ?')
      .all(eventsPerCheckInMax);
    const events: unknown[] = [];
    let bytes = 0;
    for (const { body } of rows) {
      bytes += Buffer.byteLength(body) + 1;
      // One event is always below the bound by itself: what it carries is cut when it is appended.
      if (bytes > batchBytesMax && events.length > 0) break;
      events.push(JSON.parse(body));
    }
    return events;
  }

  /**
   * What a verified answer says of the server's memory. A new epoch is a server that was restored from a backup: it is
   * offered again what it no longer has.
   * @returns false when the server claims events that this outbox never had: then nothing is forgotten
   */
  settle(answer: { readonly ackUpto: number; readonly epoch: string; readonly issuedAtS: number }): boolean {
    return this.database
      .transaction(() => {
        this.raise('issuedAtS', answer.issuedAtS);
        const known = this.#word('epoch');
        if (known === null && answer.ackUpto > 0) this.#continueAfter(answer.ackUpto);
        const last = this.#lastN();
        if (answer.ackUpto > last) return false;
        if (known !== answer.epoch) this.#setWord('epoch', answer.epoch);
        if (known !== null && known !== answer.epoch) {
          this.database.prepare('UPDATE events SET acked = 0 WHERE acked = 1 AND n > ?').run(answer.ackUpto);
        }
        this.database.prepare('UPDATE events SET acked = 1 WHERE acked = 0 AND n <= ?').run(answer.ackUpto);
        this.database.prepare('DELETE FROM events WHERE acked = 1 AND n <= ?').run(last - acknowledgedMax);
        return true;
      })
      .immediate();
  }

  counter(name: CounterName): number {
    const row = this.database.prepare<[string], { value: number }>('SELECT value FROM counters WHERE name = ?');
    return row.get(name)?.value ?? 0;
  }

  /** Raises a counter, durably; a lower value changes nothing. */
  raise(name: CounterName, value: number): void {
    this.database
      .prepare(
        `INSERT INTO counters (name, value) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > value`,
      )
      .run(name, value);
  }

  close(): void {
    closeDatabase(this.database);
  }

  /**
   * A new outbox of an appliance that the server knows: its first numbers are taken there, by events that an earlier outbox
   * had. What waits here was never accepted under them; it gets the numbers after those, and its links anew.
   */
  #continueAfter(taken: number): void {
    const rows = this.database.prepare<[], { n: number; body: string }>('SELECT n, body FROM events ORDER BY n').all();
    if (rows.length === 0 || (rows[0]?.n ?? 0) > taken) return;
    const renumber = this.database.prepare('UPDATE events SET n = ?, body = ?, prev = ?, hash = ? WHERE n = ?');
    let prev = chainStart;
    const moved = rows.map((row, index) => {
      const n = taken + 1 + index;
      const body = JSON.stringify({ ...JSON.parse(row.body), n });
      const link = { n, body, prev, hash: chainHash(prev, body), from: row.n };
      prev = link.hash;
      return link;
    });
    // From the last one on, so that no number is there twice on the way.
    for (const { n, body, prev: before, hash, from } of moved.reverse()) renumber.run(n, body, before, hash, from);
  }

  /** The version that opened state.db last; null: none did since this outbox began. */
  get stateOpenedBy(): StateOpener | null {
    const version = this.#word('state-opened');
    const trialTx = this.#word('state-opened-trial') ?? '';
    return version === null ? null : { version, trialTx: trialTx === '' ? null : Number(trialTx) };
  }

  set stateOpenedBy({ version, trialTx }: StateOpener) {
    this.database.transaction(() => {
      this.#setWord('state-opened', version);
      this.#setWord('state-opened-trial', trialTx === null ? '' : String(trialTx));
    })();
  }

  #lastN(): number {
    return this.database.prepare<[], { n: number | null }>('SELECT max(n) AS n FROM events').get()?.n ?? 0;
  }

  #word(name: string): string | null {
    const row = this.database.prepare<[string], { value: string }>('SELECT value FROM words WHERE name = ?');
    return row.get(name)?.value ?? null;
  }

  #setWord(name: string, value: string): void {
    this.database.prepare('INSERT OR REPLACE INTO words (name, value) VALUES (?, ?)').run(name, value);
  }
}

/** One statement for each table, so that a database which only has their names is told from ours. */
const ours = [
  'SELECT n, id, record, body, prev, hash, acked FROM events',
  'SELECT id, kind, state, outcome FROM orders',
  'SELECT name, value FROM counters',
  'SELECT name, value FROM words',
];

function openOurs(path: string): Database {
  clearTheWay(path);
  const database = openDatabase(path);
  try {
    database.exec(schema);
    for (const sql of ours) database.prepare(sql);
    return database;
  } catch (error) {
    database.close();
    // The schema is frozen: what has the names of these tables and not their columns was never an outbox.
    if (!(error instanceof Sqlite.SqliteError) || error.code !== 'SQLITE_ERROR') throw error;
    throw new NotOursError(error.message, { cause: error });
  }
}

/**
 * Opens the outbox. One that can not be read is kept aside, and a new one begun: no rollback brings it back, and without
 * one no version could ever serve again.
 */
export function openOutbox(path: string, at: () => EventInput['at'], log: Log): Outbox {
  try {
    return new Outbox(openOurs(path), at);
  } catch (cause) {
    if (!isUnusable(cause)) throw cause;
    const kept = setAside(path);
    const text = `outbox.db could not be read; it is kept as ${kept}, and a new one was begun`;
    log.error({ code: 'outbox-unreadable', error: String(cause) }, text);
    const outbox = new Outbox(openOurs(path), at);
    outbox.append({ kind: 'note', text });
    return outbox;
  }
}
