/** Lines of one message in a minute. */
export const linesPerMinute = 120;
const minuteMs = 60_000;
/** Messages that are counted at a time; beyond it, the one that began first is forgotten. */
const keysMax = 500;

interface Counted {
  readonly message: string;
  readonly sinceMs: number;
  taken: number;
  leftOut: number;
}

/** What was left out of one message in a minute that is over. */
export interface LeftOut {
  readonly leftOut: number;
  readonly of: string;
}

/** Bounds how often each message is written. */
export class RateBound {
  readonly #monoMs: () => number;
  readonly #counted = new Map<string, Counted>();

  constructor(monoMs: () => number) {
    this.#monoMs = monoMs;
  }

  /** @returns whether this one is written */
  takes(key: string, message: string): boolean {
    const known = this.#counted.get(key);
    const counted = known ?? { message, sinceMs: this.#monoMs(), taken: 0, leftOut: 0 };
    if (known === undefined) this.#add(key, counted);
    const isTaken = counted.taken < linesPerMinute;
    if (isTaken) counted.taken += 1;
    else counted.leftOut += 1;
    return isTaken;
  }

  /** Ends minutes that are over. The order of the map is that in which they began. */
  over(): LeftOut[] {
    const found: LeftOut[] = [];
    for (const [key, { message, sinceMs, leftOut }] of this.#counted) {
      if (this.#monoMs() - sinceMs < minuteMs) break;
      this.#counted.delete(key);
      if (leftOut > 0) found.push({ leftOut, of: message });
    }
    return found;
  }

  #add(key: string, counted: Counted): void {
    const [oldest] = this.#counted.keys();
    if (this.#counted.size >= keysMax && oldest !== undefined) this.#counted.delete(oldest);
    this.#counted.set(key, counted);
  }
}
