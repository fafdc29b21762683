import { randomUUID } from 'node:crypto';
import Sqlite, { type Database } from 'better-sqlite3';
import {
  beyondText,
  offeredAgainText,
  offeredFrom,
  type SentEvent,
  type ServerMemory,
  storedOf,
} from '../protocol/acknowledgement.ts';
import { counterMax, eventNumberStepMax } from '../protocol/bounded-step.ts';
import { type EventInput, eventsPerCheckInMax } from '../protocol/event.ts';
import type { Log } from './effects/effects.ts';
import { chainHash, chainStart, renumber, renumberUncounted } from './outbox-chain.ts';
import { clearTheWay, isUnusable, NotOursError, refuseMarked, setAside } from './set-aside.ts';
import { closeDatabase, openDatabase, waitBriefly } from './state.ts';
import { storeTexts } from './texts.ts';
import { Words } from './words.ts';

/** Acknowledged events that are kept, so that they can be offered again to a server restored from a backup. */
const acknowledgedMax = 100_000;
/** JSON of all events of one check-in; the rest of its 16 KiB is for the fields around them. */
const batchBytesMax = 13 * 1024;

/** Characters of a damaged event that are sent. */
const damagedTextMax = 300;

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

export type NewEvent = Omit<EventInput, 'id' | 'n' | 'at'>;
export type CounterName = 'seq' | 'reading' | 'issuedAtS' | `record:${string}`;

/** The events of one check-in: as they travel, and what an acknowledgement calls them. */
export interface Batch {
  readonly events: readonly unknown[];
  readonly sent: readonly SentEvent[];
}

/** The version that opened state.db, as it recorded itself. */
export interface StateOpener {
  readonly version: string;
  /** The transaction whose trial it was; null: none. */
  readonly trialTx: number | null;
}

/** Events wait here until the server has them; the file also holds the order ledger and the counters. */
export class Outbox {
  readonly database: Database;
  readonly words: Words;
  readonly #at: () => EventInput['at'];

  constructor(database: Database, at: () => EventInput['at']) {
    this.database = database;
    this.words = new Words(database);
    this.#at = at;
  }

  /**
   * Adds one event at the end of the chain; durable when this returns, unless a transaction is open around it.
   * @returns its id
   */
  append(event: NewEvent): string {
    return this.database
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
        return id;
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
   * The oldest waiting events, as many as one check-in holds, as whichever version wrote them. None before the first
   * answer, which says which numbers an earlier outbox of this appliance has used.
   */
  batch(): Batch {
    if (this.words.get('epoch') === null) return { events: [], sent: [] };
    const rows = this.database
      .prepare<[number], SentEvent & { body: string }>(
        'SELECT id, n, body FROM events WHERE acked = 0 ORDER BY n LIMIT ?',
      )
      .all(eventsPerCheckInMax);
    const events: unknown[] = [];
    const sent: SentEvent[] = [];
    let bytes = 0;
    for (const { id, n, body } of rows) {
      bytes += Buffer.byteLength(body) + 1;
      // A single event always fits: its contents are cut when it is appended.
      if (bytes > batchBytesMax && events.length > 0) break;
      events.push(this.#readBody({ id, n, body }));
      sent.push({ id, n });
    }
    return { events, sent };
  }

  /** An unreadable row does not block those behind it: its remains are sent under its id and number. */
  #readBody({ id, n, body }: SentEvent & { readonly body: string }): unknown {
    try {
      return JSON.parse(body);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      const text = storeTexts.eventDamaged(body.slice(0, damagedTextMax));
      return { id, n, at: this.#at(), kind: 'note', text } satisfies EventInput;
    }
  }

  /**
   * Applies what a verified answer to a request with `sent` says about the server's memory. Only events in `sent` are
   * ever forgotten, and events that the server misses wait again.
   * @returns what a person should read about it
   */
  settle(sent: readonly SentEvent[], answer: ServerMemory & { readonly issuedAtS: number }): readonly string[] {
    return this.database
      .transaction(() => {
        // Earlier versions judge orders by the greatest value that they find here: it follows the server's answers.
        this.setCounter('issuedAtS', answer.issuedAtS);
        const known = this.words.get('epoch');
        if (known === null && answer.ackUpto > 0) this.#continueAfter(Math.min(answer.ackUpto, eventNumberStepMax));
        const last = this.#lastN();
        const told = [...this.#offerAgain(offeredFrom(answer, known)), ...this.#tellBeyond(answer, last)];
        if (known !== answer.epoch) this.words.set('epoch', answer.epoch);
        const acknowledge = this.database.prepare('UPDATE events SET acked = 1 WHERE id = ?');
        for (const id of storedOf(sent, answer)) acknowledge.run(id);
        this.database.prepare('DELETE FROM events WHERE acked = 1 AND n <= ?').run(last - acknowledgedMax);
        return told;
      })
      .immediate();
  }

  /** Acknowledged events from this number on that are still kept wait again, with one note at a time. */
  #offerAgain(from: number | null): string[] {
    if (from === null) return [];
    const { changes } = this.database.prepare('UPDATE events SET acked = 0 WHERE acked = 1 AND n >= ?').run(from);
    if (changes === 0) return [];
    const text = offeredAgainText(changes);
    const noted = this.database
      .prepare('SELECT 1 FROM events WHERE acked = 0 AND id = ?')
      .get(this.words.get('offered'));
    if (noted === undefined) this.words.set('offered', this.append({ kind: 'note', text }));
    return [text];
  }

  #tellBeyond({ ackUpto, epoch }: ServerMemory, last: number): string[] {
    if (ackUpto <= last || this.words.get('beyond') === epoch) return [];
    this.words.set('beyond', epoch);
    const text = beyondText(ackUpto);
    this.append({ kind: 'note', text });
    return [text];
  }

  counter(name: CounterName): number {
    const row = this.database.prepare<[string], { value: number }>('SELECT value FROM counters WHERE name = ?');
    const value = row.get(name)?.value ?? 0;
    // Nothing counts this far: a damaged counter starts again, and the server names the next number.
    return value >= 0 && value < counterMax ? value : 0;
  }

  /** Raises a counter, durably; a lower value changes nothing, unless the stored one cannot have been counted. */
  raise(name: CounterName, value: number): void {
    this.database
      .prepare(
        `INSERT INTO counters (name, value) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > value OR value >= ?`,
      )
      .run(name, value, counterMax);
  }

  /** Sets a counter, also to a lower value. */
  setCounter(name: CounterName, value: number): void {
    this.database.prepare('INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)').run(name, value);
  }

  close(): void {
    closeDatabase(this.database);
  }

  /**
   * For a new outbox of an appliance that the server knows: the server has its first numbers from an earlier outbox.
   * Events that wait here were never accepted under them; they get the numbers after those, and new links.
   */
  #continueAfter(taken: number): void {
    const first = this.database.prepare<[], { n: number | null }>('SELECT min(n) AS n FROM events').get()?.n ?? null;
    if (first !== null && first <= taken) renumber(this.database, first, taken);
  }

  /** The version that opened state.db last; null: none did since this outbox began. */
  get stateOpenedBy(): StateOpener | null {
    const version = this.words.get('state-opened');
    const trialTx = this.words.get('state-opened-trial') ?? '';
    return version === null ? null : { version, trialTx: trialTx === '' ? null : Number(trialTx) };
  }

  set stateOpenedBy({ version, trialTx }: StateOpener) {
    this.database.transaction(() => {
      this.words.set('state-opened', version);
      this.words.set('state-opened-trial', trialTx === null ? '' : String(trialTx));
    })();
  }

  /** The authority that the server said it goes by; null: none. */
  get serverAuthority(): string | null {
    return this.words.get('authority') || null;
  }

  set serverAuthority(authority: string | null) {
    this.words.set('authority', authority ?? '');
  }

  #lastN(): number {
    return this.database.prepare<[], { n: number | null }>('SELECT max(n) AS n FROM events').get()?.n ?? 0;
  }
}

/** One statement for each table: it fails on a database whose tables only have the same names. */
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
    renumberUncounted(database);
    waitBriefly(database);
    return database;
  } catch (error) {
    database.close();
    // The schema is frozen: a file with these table names but other columns was never an outbox.
    if (!(error instanceof Sqlite.SqliteError) || error.code !== 'SQLITE_ERROR') throw error;
    throw new NotOursError(error.message, { cause: error });
  }
}

/**
 * Opens the outbox. An unreadable one is kept aside and a new one begun: no rollback restores it, and without an outbox
 * no version could ever serve again.
 */
export function openOutbox(path: string, at: () => EventInput['at'], log: Log): Outbox {
  try {
    refuseMarked(path);
    return new Outbox(openOurs(path), at);
  } catch (cause) {
    if (!isUnusable(cause)) throw cause;
    const kept = setAside(path);
    const text = storeTexts.outboxReplaced(kept);
    log.error({ code: 'outbox-unreadable', error: String(cause) }, text);
    const outbox = new Outbox(openOurs(path), at);
    outbox.append({ kind: 'note', text });
    return outbox;
  }
}
