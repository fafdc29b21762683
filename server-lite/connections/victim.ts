/** What decides which connection is closed. */
export interface Standing {
  /** It finished a check-in whose counter was taken, or its request showed the operator's token. */
  readonly isProven: boolean;
  /** Between two requests. */
  readonly isIdle: boolean;
  /** Since it was opened, or since its request began or ended. */
  readonly sinceMs: number;
  /** Read and written in that time. */
  readonly bytes: number;
}

/** A request of a check-in is over in less than this. */
const graceMs = 10_000;

/** The lowest rank is closed first: every unproven connection before a proven one. */
const ranks = {
  unproven: { idle: 0, slow: 1, young: 2 },
  proven: { idle: 3, slow: 4, young: 5 },
} as const;

function stateOf({ isIdle, sinceMs }: Standing, nowMs: number): 'idle' | 'slow' | 'young' {
  if (isIdle) return 'idle';
  return nowMs - sinceMs < graceMs ? 'young' : 'slow';
}

function rateOf({ sinceMs, bytes }: Standing, nowMs: number): number {
  return bytes / Math.max(nowMs - sinceMs, 1);
}

/**
 * Which connection makes room for a new one: one that waits for nothing; then the slowest of the long ones; then the
 * oldest of the recent ones; last, in the same order, those that proved themselves.
 * @returns null when there are none
 */
export function victimOf<T extends Standing>(connections: Iterable<T>, nowMs: number): T | null {
  let worst: { readonly one: T; readonly rank: number } | null = null;
  for (const one of connections) {
    const state = stateOf(one, nowMs);
    const rank = ranks[one.isProven ? 'proven' : 'unproven'][state];
    const isWorse = (than: { readonly one: T; readonly rank: number }): boolean => {
      if (rank !== than.rank) return rank < than.rank;
      return state === 'slow' ? rateOf(one, nowMs) < rateOf(than.one, nowMs) : one.sinceMs < than.one.sinceMs;
    };
    if (worst === null || isWorse(worst)) worst = { one, rank };
  }
  return worst?.one ?? null;
}
