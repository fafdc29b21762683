import { counterBlock } from '../protocol/check-in.ts';
import type { Outbox } from './outbox.ts';

/** The rising number of this key's check-ins, reserved durably in blocks: no number is used twice, over any crash. */
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

  /** The server has seen a higher one (this disk was restored, or this key is in use twice): go on from its word. */
  adopt(next: number): void {
    if (next <= this.#next) return;
    this.#next = next;
    if (this.#next > this.#reserved) this.#reserve();
  }

  #reserve(): void {
    this.#reserved = this.#next + counterBlock - 1;
    this.#outbox.raise('seq', this.#reserved);
  }
}
