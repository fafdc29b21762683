import type { NoReturnCode } from './steps/way-back.ts';

/**
 * What becomes of a committed version that crash-loops, days after its trial, when the server offers nothing newer. Pure:
 * it goes back to the version before, once, where that is certain to serve; else it stays, and says why.
 */

/** Bursts of process control within this time that are a crash loop. Each has been given a start of its own in between. */
export const crashLoop = { bursts: 3, withinMs: 30 * 60_000 } as const;
/** In a crash loop without an answer of the server for this long, nobody says when the window is: then it is now. */
export const aloneMs = 60 * 60_000;

/** Monotonic times of the bursts that still count. */
export function recentBursts(burstsMs: readonly number[], nowMs: number): number[] {
  return burstsMs.filter((atMs) => nowMs - atMs < crashLoop.withinMs).slice(-crashLoop.bursts);
}

export interface LastAnswer {
  /** The window's time that the answer gave; null: there is no answer of this boot that says anything of it. */
  readonly openForS: number | null;
  readonly ageMs: number;
  /** The newest check-in was answered. */
  readonly isNewest: boolean;
}

/** What the server's last word says of the window now. One that has run out is asked for again before it counts. */
export function windowNow({ openForS, ageMs, isNewest }: LastAnswer): 'open' | 'closed' | 'unknown' {
  if (openForS === null) return 'unknown';
  if (openForS > 0) return isNewest || ageMs < openForS * 1_000 ? 'open' : 'unknown';
  return isNewest ? 'closed' : 'unknown';
}

export interface Loop {
  /** Whether a person could go back; null: they could. */
  readonly refused: NoReturnCode | null;
  readonly isQuarantined: boolean;
  /** The updater left this very version by itself before, and it is back. */
  readonly wasLeft: boolean;
  readonly window: ReturnType<typeof windowNow>;
  /** Time in the loop without an answer of the server. */
  readonly aloneForMs: number;
  /** Every byte of the previous version. Asked last, because it takes time. */
  isWhole(): boolean;
}

export type StayCode = NoReturnCode | 'tried-before' | 'quarantined' | 'window' | 'server' | 'slot-damaged';
export type Rescue = { readonly kind: 'return' } | { readonly kind: 'stay'; readonly code: StayCode };

const stay = (code: StayCode): Rescue => ({ kind: 'stay', code });

export function rescueOf(loop: Loop): Rescue {
  if (loop.refused === 'no-previous') return stay('no-previous');
  if (loop.wasLeft) return stay('tried-before');
  if (loop.refused !== null) return stay(loop.refused);
  if (loop.isQuarantined) return stay('quarantined');
  if (loop.window === 'closed') return stay('window');
  if (loop.window === 'unknown' && loop.aloneForMs < aloneMs) return stay('server');
  return loop.isWhole() ? { kind: 'return' } : stay('slot-damaged');
}

/** For page, command line and server, after how often it crashed. */
export function stayText(code: StayCode, previous: string | null): string {
  const before = previous ?? 'the version before';
  switch (code) {
    case 'no-previous':
      return 'It stays, because there is no version before it to go back to';
    case 'tried-before':
      return `It stays, because going back to ${before} was tried once, and failed`;
    case 'revoked':
      return `It stays, because ${before} was revoked`;
    case 'floor':
      return `It stays, because ${before} is below the floor`;
    case 'state-not-readable':
      return `It stays, because ${before} can not read today's data; only a person can go back to the data of before`;
    case 'quarantined':
      return `It stays, because ${before} is in quarantine`;
    case 'slot-damaged':
      return `It stays, because ${before} is damaged`;
    case 'window':
      return `It goes back to ${before} by itself when the window opens`;
    case 'server':
      return `It goes back to ${before} by itself when the server answers that the window is open, or after ${aloneMs / 60_000} min without an answer`;
    default:
      return code satisfies never;
  }
}
