/** The first run is spread over at most this. */
const firstMsMax = 60_000;

/** @param random between 0 and 1 */
export function firstDueMs(everyMs: number, atOnce: boolean, nowMs: number, random: number): number {
  return atOnce ? nowMs : nowMs + random * Math.min(everyMs, firstMsMax);
}

/**
 * The next due time is an interval after the last one, moved by the jitter; after a standstill it begins anew, and
 * nothing is caught up. @param random between 0 and 1
 */
export function nextDueMs(dueMs: number, everyMs: number, jitter: number, nowMs: number, random: number): number {
  return Math.max(dueMs + everyMs * (1 + jitter * (2 * random - 1)), nowMs);
}
