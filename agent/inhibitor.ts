import { inhibitCharsMax } from '../protocol/health.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import type { Clock } from './effects/effects.ts';
import type { OrderHandler } from './orders.ts';
import { orderTexts } from './texts.ts';

/** Work that has not ended after this long no longer delays an update: it may never end. */
const inhibitMsMax = 10 * 60_000;

/** Work of the agent that should not be cut off: while it lasts, the agent asks not to be stopped. */
export class Inhibitor {
  readonly #clock: Clock;
  #work: { readonly words: string; readonly sinceMs: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For the health answer; null: the agent may be stopped now. */
  get words(): string | null {
    if (this.#work === null || this.#clock.monoMs() - this.#work.sinceMs >= inhibitMsMax) return null;
    return this.#work.words;
  }

  /** The same handler, whose orders are not cut off. */
  whileIn(handle: OrderHandler): OrderHandler {
    return (order) => this.during(orderTexts.inhibits(wordOf(order.kind)), () => handle(order));
  }

  /** One piece of work at a time. @param words what a person reads about it */
  async during<Result>(words: string, work: () => Promise<Result>): Promise<Result> {
    this.#work = { words: words.slice(0, inhibitCharsMax), sinceMs: this.#clock.monoMs() };
    try {
      return await work();
    } finally {
      this.#work = null;
    }
  }
}
