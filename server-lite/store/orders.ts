import type { OrderState } from '../rules/order-life.ts';
import type { Db } from './database.ts';

export interface OrderRow {
  readonly serial: number;
  readonly id: string;
  readonly appliance: string;
  readonly kind: string;
  readonly args: string;
  readonly envelope: string;
  readonly state: OrderState;
  readonly created_at: number;
  readonly expires_at: number;
  readonly sent_at: number | null;
  readonly ended_at: number | null;
  readonly deliveries: number;
  /** Crashes of the agent after the order was sent and before it ended. */
  readonly crashes: number;
  readonly crash_text: string;
  readonly error: string | null;
  readonly result: string | null;
  /** The appliance's report that the server refused. */
  readonly fault: string | null;
}

/** Ended orders that are kept for one appliance; the API shows 200. */
const endedMax = 1_000;
/** Counting ends here: an appliance's report must not overflow anything. */
const crashesMax = 1_000_000;

type NewOrder = Pick<OrderRow, 'id' | 'appliance' | 'kind' | 'args' | 'envelope' | 'created_at' | 'expires_at'>;

export interface Orders {
  /** Also removes ended orders of its appliance, except the {@link endedMax} latest. */
  add(order: NewOrder): void;
  /** By its id, or by an unambiguous beginning of it. */
  find(id: string): OrderRow | undefined;
  /** Newest first. */
  list(appliance: string | null, limit: number): OrderRow[];
  countOpen(appliance: string): number;
  /** Orders that the agent has not taken yet, oldest first. */
  toSend(appliance: string, nowMs: number, limit: number): OrderRow[];
  markSent(id: string, nowMs: number): void;
  move(id: string, to: Pick<OrderRow, 'state' | 'error' | 'result' | 'ended_at'>): void;
  noteFault(id: string, fault: string): void;
  countCrashes(appliance: string, count: number, text: string): void;
  overdue(nowMs: number): OrderRow[];
}

/** The one queue of orders (S21). */
export function ordersOf(db: Db): Orders {
  const open = "state IN ('queued', 'sent', 'acknowledged', 'running')";
  const add = db.prepare(
    `INSERT INTO orders (id, appliance, kind, args, envelope, state, created_at, expires_at)
     VALUES (@id, @appliance, @kind, @args, @envelope, 'queued', @created_at, @expires_at)`,
  );
  const dropOld = db.prepare<[string, string, number]>(
    `DELETE FROM orders WHERE appliance = ? AND NOT (${open}) AND serial <= (SELECT serial FROM orders WHERE appliance = ?
       ORDER BY serial DESC LIMIT 1 OFFSET ?)`,
  );
  const find = db.prepare<[string], OrderRow>('SELECT * FROM orders WHERE id = ?');
  const begins = db.prepare<[string, string], OrderRow>('SELECT * FROM orders WHERE id >= ? AND id < ? LIMIT 2');
  // One statement for each combination: a single one for both would read the whole table. No serial is below 1.
  const all = db.prepare<[number], OrderRow>('SELECT * FROM orders WHERE serial > 0 ORDER BY serial DESC LIMIT ?');
  const ofAppliance = db.prepare<[string, number], OrderRow>(
    'SELECT * FROM orders WHERE appliance = ? ORDER BY serial DESC LIMIT ?',
  );
  const count = db.prepare<[string], { n: number }>(`SELECT count(*) AS n FROM orders WHERE appliance = ? AND ${open}`);
  const toSend = db.prepare<[string, number, number], OrderRow>(
    `SELECT * FROM orders WHERE appliance = ? AND ${open} AND state IN ('queued', 'sent') AND expires_at > ?
     ORDER BY serial LIMIT ?`,
  );
  const markSent = db.prepare<[number, string]>(
    `UPDATE orders SET deliveries = deliveries + 1, sent_at = coalesce(sent_at, ?), state = 'sent' WHERE id = ?`,
  );
  const move = db.prepare(
    `UPDATE orders SET state = @state, ended_at = @ended_at, error = coalesce(@error, error),
       result = coalesce(@result, result) WHERE id = @id`,
  );
  const noteFault = db.prepare<[string, string]>('UPDATE orders SET fault = ? WHERE id = ?');
  const countCrashes = db.prepare<[number, string, string]>(
    `UPDATE orders SET crashes = min(crashes + ?, ${crashesMax}), crash_text = ? WHERE appliance = ?
       AND ${open} AND state IN ('sent', 'acknowledged', 'running')`,
  );
  const overdue = db.prepare<[number], OrderRow>(`SELECT * FROM orders WHERE ${open} AND expires_at <= ?`);
  return {
    add: (order) => {
      add.run(order);
      dropOld.run(order.appliance, order.appliance, endedMax);
    },
    find: (id) => {
      const exact = find.get(id);
      if (exact !== undefined || !/^[0-9a-f-]{8,36}$/.test(id)) return exact;
      // `g` comes after every digit of a UUID.
      const found = begins.all(id, `${id}g`);
      return found.length === 1 ? found[0] : undefined;
    },
    list: (appliance, limit) => (appliance === null ? all.all(limit) : ofAppliance.all(appliance, limit)),
    countOpen: (appliance) => count.get(appliance)?.n ?? 0,
    toSend: (appliance, nowMs, limit) => toSend.all(appliance, nowMs, limit),
    markSent: (id, nowMs) => {
      markSent.run(nowMs, id);
    },
    move: (id, to) => {
      move.run({ id, ...to });
    },
    noteFault: (id, fault) => {
      noteFault.run(fault, id);
    },
    countCrashes: (appliance, crashes, text) => {
      countCrashes.run(crashes, text, appliance);
    },
    overdue: (nowMs) => overdue.all(nowMs),
  };
}
