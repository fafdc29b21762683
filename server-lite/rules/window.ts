/** Windows of time that hold also where the clock was put back: a begin that lies ahead is over. */

export function isWithin(sinceMs: number, nowMs: number, lengthMs: number): boolean {
  return nowMs >= sinceMs && nowMs - sinceMs < lengthMs;
}

export interface Count {
  readonly sinceMs: number;
  readonly n: number;
}

/** One more, in the window that is open, or as the first one of the next. */
export function countedIn(before: Count | undefined, nowMs: number, lengthMs: number): Count {
  const isOpen = before !== undefined && isWithin(before.sinceMs, nowMs, lengthMs);
  return isOpen ? { ...before, n: before.n + 1 } : { sinceMs: nowMs, n: 1 };
}
