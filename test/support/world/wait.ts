import { setTimeout as delay } from 'node:timers/promises';

/** What was looked at, again and again, until it was there. */
export class WaitError extends Error {
  readonly code = 'not-in-time';
}

const lookEveryMs = 100;

/**
 * What comes at all comes within this time, on a machine that has anything else to do as well. It is the same for
 * everything that is waited for, and less than the time-out of the tests, so that the wait says what did not come.
 */
export const patienceMs = 240_000;

/**
 * Looks until `look` returns something, and says what it last saw when it never does.
 * @throws WaitError
 */
export async function until<T>(what: string, withinMs: number, look: () => Promise<T | null> | T | null): Promise<T> {
  let last: unknown = 'nothing';
  for (const endsAt = performance.now() + withinMs; performance.now() < endsAt; await delay(lookEveryMs)) {
    try {
      const found = await look();
      if (found !== null) return found;
    } catch (error) {
      last = error; // the outside may be on its way up; the deadline decides
    }
  }
  throw new WaitError(`${what}: not within ${withinMs / 1000} s`, { cause: last });
}
