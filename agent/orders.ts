import { sha256 } from '../protocol/digest.ts';
import { type Order, operatorOrderKinds, orderPayloadType, orderShape } from '../protocol/order.ts';
import { type Envelope, EnvelopeError, openEnvelope } from '../protocol/trust/envelope.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import type { Bell } from './bell.ts';
import type { Log } from './effects/effects.ts';
import type { Ledger, OrderEnd } from './ledger.ts';
import type { Outbox } from './outbox.ts';

/** Orders that wait here; what does not fit is not noted, so the server sends it again. */
const queueMax = 32;
/** Envelopes that were refused and not noted, remembered so that each is logged once. */
const refusedMax = 64;
/** The queue looks by itself this often, should a ring be lost. */
const lookMs = 60_000;

const operatorKinds = new Set<string>(operatorOrderKinds);

/** Runs one order. @throws only what is a bug: that crashes the agent, and the order is reported failed at its start */
export type OrderHandler = (order: Order) => Promise<OrderEnd>;

/** Takes orders at most once: each is noted durably before it runs, and one after the other. */
export class OrderQueue {
  readonly #log: Log;
  readonly #outbox: Outbox;
  readonly #ledger: Ledger;
  readonly #handle: OrderHandler;
  readonly #added: Bell;
  readonly #finished: Bell;
  readonly #queue: Order[] = [];
  readonly #refused: string[] = [];

  constructor(
    parts: { readonly log: Log; readonly outbox: Outbox; readonly ledger: Ledger; readonly handle: OrderHandler },
    bells: { readonly added: Bell; readonly finished: Bell },
  ) {
    this.#log = parts.log;
    this.#outbox = parts.outbox;
    this.#ledger = parts.ledger;
    this.#handle = parts.handle;
    this.#added = bells.added;
    this.#finished = bells.finished;
  }

  /** What a verified answer brought. One bad envelope never stops the others (S35). */
  accept(
    envelopes: readonly Envelope[],
    trust: { readonly appliance: string; readonly answerKeys: readonly string[] },
  ): void {
    for (const envelope of envelopes) {
      const order = this.#open(envelope, trust.answerKeys);
      if (order === null || this.#ledger.knows(order.id) || this.#queue.length >= queueMax) continue;
      const refusal = this.#refusalOf(order, trust.appliance);
      this.#ledger.note(order);
      if (refusal === null) this.#queue.push(order);
      else this.#end(order, { state: 'refused', error: refusal });
    }
    this.#added.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const order = this.#queue.shift();
      if (order === undefined) await this.#added.wait(lookMs, signal);
      else await this.#execute(order);
    }
  }

  async #execute(order: Order): Promise<void> {
    this.#ledger.start(order.id);
    this.#end(order, await this.#handle(order));
  }

  #end(order: Order, end: OrderEnd): void {
    this.#ledger.finish(order.id, end);
    const facts = { order: order.id, kind: wordOf(order.kind), state: end.state };
    if ('error' in end) this.#log.warn({ ...facts, error: end.error }, 'an order did not succeed');
    else this.#log.info(facts, 'an order succeeded');
    this.#finished.ring();
  }

  #refusalOf(order: Order, appliance: string): string | null {
    const kind = wordOf(order.kind);
    if (order.appliance !== appliance) return `this order is for ${order.appliance}, this appliance is ${appliance}`;
    if (operatorKinds.has(kind)) {
      return `an order of kind ${kind} needs an operator's key, and this agent takes none yet; do it on site`;
    }
    const trustedS = this.#outbox.counter('issuedAtS');
    if (order.expiresAtS < trustedS) {
      return `the order expired ${trustedS - order.expiresAtS} s before it arrived; send a new one if it is still wanted`;
    }
    return null;
  }

  /** The order, or null when nobody trusted signed it: then its id is not noted, for the true order may still come (S34). */
  #open(envelope: Envelope, keys: readonly string[]): Order | null {
    try {
      const parsed = orderShape.safeParse(openEnvelope(envelope, orderPayloadType, keys));
      if (parsed.success) return parsed.data;
      this.#refuseUnread(envelope, 'order-malformed', parsed.error.message);
    } catch (error) {
      if (!(error instanceof EnvelopeError)) throw error;
      this.#refuseUnread(envelope, error.code, error.message);
    }
    return null;
  }

  #refuseUnread(envelope: Envelope, code: string, error: string): void {
    const digest = sha256(envelope.payload);
    if (this.#refused.includes(digest)) return;
    this.#refused.push(digest);
    if (this.#refused.length > refusedMax) this.#refused.shift();
    this.#log.warn({ code, error }, 'an order is ignored: it can not be trusted or read');
    this.#outbox.append({ kind: 'note', text: `an order was ignored (${code}): ${error.slice(0, 300)}` });
  }
}
