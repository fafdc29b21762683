import { isWithin } from '../rules/window.ts';

const hourMs = 3_600_000;
/** The oldest go: what they were of is told once more. */
const keptMax = 4_096;

/** What a sender could make as many lines of as it sends, in a log that nobody prunes by sender. */
export interface OnceAnHour {
  /** @returns whether this has not been due for an hour; then it is not for the next one */
  isDue(what: string, nowMs: number): boolean;
}

export function onceAnHour(): OnceAnHour {
  const saidMs = new Map<string, number>();
  return {
    isDue: (what, nowMs) => {
      const before = saidMs.get(what);
      if (before !== undefined && isWithin(before, nowMs, hourMs)) return false;
      saidMs.delete(what);
      saidMs.set(what, nowMs);
      for (const oldest of saidMs.keys()) {
        if (saidMs.size <= keptMax) break;
        saidMs.delete(oldest);
      }
      return true;
    },
  };
}
