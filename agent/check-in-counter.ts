import Sqlite from 'better-sqlite3';
import { counterMax, counterStepMax, stepTowards } from '../protocol/bounded-step.ts';
import { counterBlock } from '../protocol/check-in.ts';
import type { Outbox } from './outbox.ts';

/**
 * The rising number of this key's check-ins, reserved durably in blocks: no number is used twice, even across crashes.
 */
export class CheckInCounter {
  readonly #outbox: Outbox;
  #next: number;
  #reserved: number;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
    this.#reserved = outbox.counter('seq');
    this.#next = this.#reserved + 1;
  }

  take(): number {
    if (this.#next > this.#reserved) this.#reserve();
    const taken = this.#next;
    this.#next += 1;
    return taken;
  }

  /**
   * The server has seen a higher number (this disk was restored, or two machines use this key): continue from its
   * number, by a bounded step. A server whose count is lower accepts a number far above its own.
   */
  adopt(next: number): void {
    if (next <= this.#next) return;
    this.#next = stepTowards(this.#next, next, counterStepMax);
    if (this.#next > this.#reserved) this.#reserve();
  }

  /**
   * At the end: what was reserved and not used. An agent that used up a block at each start would be ahead of its server,
   * which moves by a bounded step, and what somebody recorded of it could be sent once more.
   */
  giveBack(): void {
    if (this.#next > this.#reserved) return;
    try {
      this.#outbox.setCounter('seq', this.#next - 1);
      this.#reserved = this.#next - 1;
    } catch (error) {
      // A disk that refuses: the next start begins above what was reserved, as after a crash.
      if (!(error instanceof Sqlite.SqliteError)) throw error;
    }
  }

  #reserve(): void {
    // A stored number must be readable: at the upper end, numbers start again, and the server names the next one.
    if (this.#next + counterBlock > counterMax) this.#next = 1;
    this.#reserved = this.#next + counterBlock - 1;
    this.#outbox.setCounter('seq', this.#reserved);
  }
}
