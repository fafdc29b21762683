import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from '../refusal.ts';
import { requestTexts } from '../texts.ts';
import { type Db, isBusy } from './database.ts';

/** How long a request waits for another process that writes: a person in the sqlite3 shell, a running copy. */
const usualWaitMs = 2_000;
const lookEveryMs = 50;
/** Requests that wait at the same time; further ones are refused at once. */
const waitingMax = 256;
const retryAfterS = 5;

export function busyRefusal(cause?: unknown): Refusal {
  const next = requestTexts.databaseHeldNext(retryAfterS);
  return new Refusal('server-busy', requestTexts.databaseHeld, next, { cause, retryAfterS });
}

/**
 * SQLite lets one process write at a time. This server is one thread, so none of its statements may wait for another
 * process: a request that will write waits here, and others are answered meanwhile.
 */
export class WriteTurn {
  readonly #db: Db;
  readonly #waitMs: number;
  #waiting = 0;

  constructor(db: Db, waitMs = usualWaitMs) {
    this.#db = db;
    this.#waitMs = waitMs;
  }

  /**
   * May this process write now? Whatever it writes before the next await succeeds, except in a race, which is refused.
   */
  isFree(): boolean {
    try {
      this.#db.transaction(() => undefined).immediate();
      return true;
    } catch (error) {
      // Any other fault is found and reported by the write itself.
      return !isBusy(error);
    }
  }

  /** @throws Refusal `server-busy` */
  async take(): Promise<void> {
    if (this.isFree()) return;
    if (this.#waiting >= waitingMax) throw busyRefusal();
    this.#waiting += 1;
    try {
      for (let waitedMs = 0; waitedMs < this.#waitMs; waitedMs += lookEveryMs) {
        await delay(lookEveryMs);
        if (this.isFree()) return;
      }
      throw busyRefusal();
    } finally {
      this.#waiting -= 1;
    }
  }
}
