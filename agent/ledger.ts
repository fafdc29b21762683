import type { Order } from '../protocol/order.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import type { Outbox } from './outbox.ts';
import { headAndTail } from './text.ts';
import { orderTexts } from './texts.ts';

/** What an order came to. */
export type OrderEnd =
  | { readonly state: 'succeeded'; readonly result: string }
  | { readonly state: 'failed' | 'refused' | 'unsupported'; readonly error: string; readonly result?: string };

/** Characters of an error and of a result, so that an event fits a check-in beside others. */
const errorMax = 2_000;
const resultMax = 4_000;

/** Which orders were ever taken, and how they ended. In outbox.db, so that no rollback makes an order new again. */
export class Ledger {
  readonly #outbox: Outbox;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  knows(id: string): boolean {
    return this.#outbox.database.prepare('SELECT 1 FROM orders WHERE id = ?').get(id) !== undefined;
  }

  /** Durably, before it runs: from here on it is never run again. */
  note(order: Order): void {
    this.#write(() => {
      this.#outbox.database
        .prepare("INSERT INTO orders (id, kind, state) VALUES (?, ?, 'acknowledged')")
        .run(order.id, wordOf(order.kind));
      this.#outbox.append({ kind: 'order', order: { id: order.id, state: 'acknowledged' } });
    });
  }

  start(id: string): void {
    this.#write(() => {
      this.#setState(id, 'running', '');
      this.#outbox.append({ kind: 'order', order: { id, state: 'running' } });
    });
  }

  finish(id: string, end: OrderEnd): void {
    this.#write(() => {
      const error = 'error' in end ? headAndTail(end.error, errorMax) : undefined;
      const result = end.result === undefined ? undefined : headAndTail(end.result, resultMax);
      this.#setState(id, end.state, error ?? result ?? '');
      this.#outbox.append({
        kind: 'order',
        order: {
          id,
          state: end.state,
          ...(error === undefined ? {} : { error }),
          ...(result === undefined ? {} : { result }),
        },
      });
    });
  }

  /** At start: orders that a crash interrupted are reported as failed, once. @returns the ids */
  failUnfinished(): string[] {
    const rows = this.#outbox.database
      .prepare<[], { id: string }>("SELECT id FROM orders WHERE state IN ('acknowledged', 'running')")
      .all();
    for (const { id } of rows) this.finish(id, { state: 'failed', error: orderTexts.stopped });
    return rows.map(({ id }) => id);
  }

  #setState(id: string, state: string, outcome: string): void {
    this.#outbox.database.prepare('UPDATE orders SET state = ?, outcome = ? WHERE id = ?').run(state, outcome, id);
  }

  /** Ledger and event in one commit: neither ever exists without the other. */
  #write(work: () => void): void {
    this.#outbox.database.transaction(work).immediate();
  }
}
