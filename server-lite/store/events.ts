import { z } from 'zod';
import type { Role } from './appliances.ts';
import type { Db } from './database.ts';
import { type Keep, keepOf } from './keep.ts';
import { readStored } from './stored-json.ts';

export interface EventRow {
  readonly serial: number;
  readonly appliance: string;
  readonly role: Role | 'server';
  readonly id: string;
  readonly n: number;
  readonly kind: string;
  readonly text: string;
  /** The event as its sender wrote it, as JSON. */
  readonly body: string;
  readonly received_at: number;
}

/** How many events of one worth and one writer are stored for an appliance, and how many were removed so far. */
export interface Tally {
  readonly appliance: string;
  readonly role: EventRow['role'];
  readonly keep: Keep;
  readonly events: number;
  /** Of bodies and texts. */
  readonly bytes: number;
  readonly dropped: number;
}

type TallyKey = Pick<Tally, 'appliance' | 'role' | 'keep'>;

/** A record's place in the list: its sender chose the number, so one number may stand for several. */
export interface RecordPlace {
  readonly n: number;
  readonly serial: number;
}

export interface RecordRow extends RecordPlace {
  readonly name: string;
  readonly sha256: string;
}

export interface EventFilter {
  readonly appliance?: string;
  readonly kind?: string;
  readonly limit: number;
  /** Only events older than this serial. */
  readonly before?: number;
}

const recordBodyShape = z.object({ record: z.object({ name: z.string(), sha256: z.string() }) });

export interface Events {
  /** @returns false if this event was stored before: a repetition changes nothing */
  add(event: Omit<EventRow, 'serial'>): boolean;
  /** The stored body of an event, to compare with another one under the same id. */
  bodyOf(appliance: string, role: Role, id: string): string | undefined;
  /** When the server last noted something of this kind; null: never. */
  lastNotedMs(appliance: string, kind: string): number | null;
  /** Newest first. */
  list(filter: EventFilter): EventRow[];
  /** By number, of one number the first to come first. */
  records(appliance: string, after: RecordPlace, limit: number): RecordRow[];
  tallies(): Tally[];
  /**
   * Removes the oldest of one worth and writer, at most `most` at once, until `least` events are left or the bytes fit.
   */
  dropOldest(tally: TallyKey, least: Pick<Tally, 'events' | 'bytes'>, most: number): Tally;
  /** Removes an event that the server itself added. */
  withdraw(appliance: string, id: string): void;
}

/** Events of all appliances; stored before they are acknowledged. */
export function eventsOf(db: Db): Events {
  const add = db.prepare(
    `INSERT INTO events (appliance, role, id, n, kind, text, body, received_at, keep)
     VALUES (@appliance, @role, @id, @n, @kind, @text, @body, @received_at, @keep)
     ON CONFLICT (appliance, role, id) DO NOTHING`,
  );
  const kept = keptEventsOf(db);
  const bodyOf = db.prepare<[string, string, string], { body: string }>(
    'SELECT body FROM events WHERE appliance = ? AND role = ? AND id = ?',
  );
  const lastNoted = db.prepare<[string, string], { received_at: number }>(
    `SELECT received_at FROM events WHERE appliance = ? AND kind = ? AND role = 'server' ORDER BY serial DESC LIMIT 1`,
  );
  const list = (where: string) =>
    db.prepare<Required<EventFilter>, EventRow>(
      `SELECT * FROM events WHERE ${where} serial < @before ORDER BY serial DESC LIMIT @limit`,
    );
  // One statement for each combination: a single one for all would read the whole table.
  const [all, ofAppliance, ofKind, ofBoth] = [
    list(''),
    list('appliance = @appliance AND'),
    list('kind = @kind AND'),
    list('appliance = @appliance AND kind = @kind AND'),
  ];
  const records = db.prepare<[string, number, number, number], Required<Pick<EventRow, 'n' | 'serial' | 'body'>>>(
    `SELECT n, serial, body FROM events WHERE appliance = ? AND role = 'agent' AND (n, serial) > (?, ?)
     AND kind = 'record' ORDER BY n, serial LIMIT ?`,
  );
  return {
    ...kept,
    add: db.transaction((event: Omit<EventRow, 'serial'>) => {
      const keep = keepOf(event.role, event.kind);
      if (add.run({ ...event, keep }).changes === 0) return false;
      kept.count({ appliance: event.appliance, role: event.role, keep }, bytesOf(event));
      return true;
    }),
    bodyOf: (appliance, role, id) => bodyOf.get(appliance, role, id)?.body,
    lastNotedMs: (appliance, kind) => lastNoted.get(appliance, kind)?.received_at ?? null,
    list: ({ appliance = '', kind = '', limit, before = Number.MAX_SAFE_INTEGER }) => {
      const [statement, rest] = appliance === '' ? [all, ofKind] : [ofAppliance, ofBoth];
      return (kind === '' ? statement : rest).all({ appliance, kind, limit, before });
    },
    records: (appliance, after, limit) =>
      records.all(appliance, after.n, after.serial, limit).flatMap(({ n, serial, body }) => {
        // A damaged row must not break the list.
        const stored = readStored(recordBodyShape, body);
        return stored.outcome === 'read' ? [{ n, serial, ...stored.value.record }] : [];
      }),
  };
}

/** The bytes of an event that count against a bound. */
export function bytesOf({ body, text }: Pick<EventRow, 'body' | 'text'>): number {
  return Buffer.byteLength(body) + Buffer.byteLength(text);
}

/** Events are counted as they are added and removed. */
function keptEventsOf(db: Db) {
  type Stored = Pick<EventRow, 'serial' | 'appliance' | 'role' | 'kind' | 'body' | 'text'>;
  const count = db.prepare<[string, string, Keep, number]>(
    `INSERT INTO event_tallies (appliance, role, keep, events, bytes) VALUES (?, ?, ?, 1, ?)
     ON CONFLICT (appliance, role, keep) DO UPDATE SET events = events + 1, bytes = bytes + excluded.bytes`,
  );
  const uncount = db.prepare<[number, number, number, string, string, Keep]>(
    `UPDATE event_tallies SET events = max(events - ?, 0), bytes = max(bytes - ?, 0), dropped = dropped + ?
     WHERE appliance = ? AND role = ? AND keep = ?`,
  );
  const tallies = db.prepare<[], Tally>('SELECT * FROM event_tallies');
  const tally = db.prepare<[string, string, Keep], Tally>(
    'SELECT * FROM event_tallies WHERE appliance = ? AND role = ? AND keep = ?',
  );
  const oldest = db.prepare<[string, string, Keep, number], Stored>(
    `SELECT serial, appliance, role, kind, body, text FROM events
     WHERE appliance = ? AND role = ? AND keep = ? ORDER BY serial LIMIT ?`,
  );
  const own = db.prepare<[string, string], Stored>(
    `SELECT serial, appliance, role, kind, body, text FROM events WHERE appliance = ? AND role = 'server' AND id = ?`,
  );
  const drop = db.prepare<[number]>('DELETE FROM events WHERE serial = ?');
  const now = ({ appliance, role, keep }: TallyKey): Tally =>
    tally.get(appliance, role, keep) ?? { appliance, role, keep, events: 0, bytes: 0, dropped: 0 };
  return {
    count: ({ appliance, role, keep }: TallyKey, bytes: number): void => {
      count.run(appliance, role, keep, bytes);
    },
    tallies: () => tallies.all(),
    dropOldest: db.transaction((of: TallyKey, least: Pick<Tally, 'events' | 'bytes'>, most: number) => {
      const { appliance, role, keep } = of;
      let { events, bytes } = now(of);
      const before = { events, bytes };
      const rows = oldest.all(appliance, role, keep, most);
      for (const row of rows) {
        if (events <= least.events && bytes <= least.bytes) break;
        drop.run(row.serial);
        events -= 1;
        bytes -= bytesOf(row);
      }
      const dropped = before.events - events;
      // None is left, whatever was counted: the count begins anew.
      if (rows.length === 0) uncount.run(before.events, before.bytes, 0, appliance, role, keep);
      else uncount.run(dropped, before.bytes - bytes, dropped, appliance, role, keep);
      return now(of);
    }),
    withdraw: db.transaction((appliance: string, id: string) => {
      const row = own.get(appliance, id);
      if (row === undefined) return;
      drop.run(row.serial);
      uncount.run(1, bytesOf(row), 0, appliance, row.role, keepOf(row.role, row.kind));
    }),
  };
}
