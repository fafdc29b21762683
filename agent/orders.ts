import { sha256 } from '../protocol/digest.ts';
import { type Order, operatorOrderKinds, orderPayloadType, orderShape } from '../protocol/order.ts';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { cut } from '../protocol/text.ts';
import { type Envelope, EnvelopeError, openEnvelope } from '../protocol/trust/envelope.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import type { Bell } from './bell.ts';
import type { Log } from './effects/effects.ts';
import type { Ledger, OrderEnd } from './ledger.ts';
import type { Outbox } from './outbox.ts';
import { orderTexts } from './texts.ts';

/** Orders that wait here; one that does not fit is not noted, so the server sends it again. */
const queueMax = 32;
/** Refused envelopes that were not noted, remembered so that each is logged once. */
const refusedMax = 64;
/** The queue looks on its own this often, in case a ring is lost. */
const lookMs = 60_000;

const operatorKinds = new Set<string>(operatorOrderKinds);

/** Runs one order. @throws only on a bug: that crashes the agent, and the order is reported failed at its next start */
export type OrderHandler = (order: Order) => Promise<OrderEnd>;

/** Takes orders at most once, one after the other: each is noted durably before it runs. */
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

  /** Takes the orders of a verified answer. One bad envelope never stops the others (S35). */
  accept(
    envelopes: readonly Envelope[],
    trust: { readonly appliance: string; readonly answerKeys: readonly string[]; readonly issuedAtS: number },
  ): void {
    for (const envelope of envelopes) {
      const order = this.#open(envelope, trust.answerKeys);
      if (order === null || this.#ledger.knows(order.id) || this.#queue.length >= queueMax) continue;
      const refusal = this.#refusalOf(order, trust);
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
    if ('error' in end) this.#log.warn({ ...facts, error: end.error }, orderTexts.notSucceeded);
    else this.#log.info(facts, orderTexts.succeeded);
    this.#finished.ring();
  }

  /** An order is expired if it had expired when this answer was signed: no earlier answer and no local clock counts. */
  #refusalOf(
    order: Order,
    { appliance, issuedAtS }: { readonly appliance: string; readonly issuedAtS: number },
  ): string | null {
    const kind = wordOf(order.kind);
    if (order.appliance !== appliance) return orderTexts.forAnother(order.appliance, appliance);
    if (operatorKinds.has(kind)) {
      return orderTexts.needsOperatorKey(kind);
    }
    if (order.expiresAtS < issuedAtS) {
      return orderTexts.expired(issuedAtS - order.expiresAtS);
    }
    return null;
  }

  /**
   * The order, or null when no trusted key signed it: then its id is not noted, because the true order may still come
   * (S34).
   */
  #open(envelope: Envelope, keys: readonly string[]): Order | null {
    try {
      const parsed = orderShape.safeParse(openEnvelope(envelope, orderPayloadType, keys));
      if (parsed.success) return parsed.data;
      this.#refuseUnread(envelope, 'order-malformed', shapeProblem(parsed.error));
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
    this.#log.warn({ code, error }, orderTexts.ignored);
    this.#outbox.append({ kind: 'note', text: orderTexts.wasIgnored(code, cut(error, 300)) });
  }
}
