import { verdictTexts } from '../words/texts.ts';

/**
 * What happens to a committed version that crash-loops, days after its trial, when the server offers nothing newer.
 * Pure: it goes back to the previous version, once, if that is certain to serve; else it stays, and says why.
 */

/** Why going back to the previous version is not possible. */
export type NoReturnCode = 'no-previous' | 'revoked' | 'floor' | 'state-not-readable';

/**
 * This many bursts of process control within this time are a crash loop. The updater started the agent again after
 * each.
 */
export const crashLoop = { bursts: 3, withinMs: 30 * 60_000 } as const;
/** In a crash loop without an answer of the server for this long, the window is unknown and counts as open. */
export const aloneMs = 60 * 60_000;

/** Monotonic times of the bursts that still count. */
export function recentBursts(burstsMs: readonly number[], nowMs: number): number[] {
  return burstsMs.filter((atMs) => nowMs - atMs < crashLoop.withinMs).slice(-crashLoop.bursts);
}

export interface LastAnswer {
  /** The window's time in the answer; null: no answer of this boot says anything about it. */
  readonly openForS: number | null;
  readonly ageMs: number;
  /** The newest check-in was answered. */
  readonly isNewest: boolean;
}

/** What the server's last answer says about the window now. An expired time is asked for again before it counts. */
export function windowNow({ openForS, ageMs, isNewest }: LastAnswer): 'open' | 'closed' | 'unknown' {
  if (openForS === null) return 'unknown';
  if (openForS > 0) return isNewest || ageMs < openForS * 1_000 ? 'open' : 'unknown';
  return isNewest ? 'closed' : 'unknown';
}

export interface Loop {
  /** Why a person could not go back; null: they could. */
  readonly refused: NoReturnCode | null;
  readonly isQuarantined: boolean;
  /** The updater itself left this version before, and it is back. */
  readonly wasLeft: boolean;
  readonly window: ReturnType<typeof windowNow>;
  /** Time in the loop without an answer of the server. */
  readonly aloneForMs: number;
  /** Checks every byte of the previous version. Asked last, because it takes time. */
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

/** For page, command line and server, after the number of crashes. */
export function stayText(code: StayCode, previous: string | null): string {
  const before = previous ?? verdictTexts.previousVersion;
  switch (code) {
    case 'no-previous':
      return verdictTexts.staysNoPrevious;
    case 'tried-before':
      return verdictTexts.staysTriedOnce(before);
    case 'revoked':
      return verdictTexts.staysRevoked(before);
    case 'floor':
      return verdictTexts.staysBelowFloor(before);
    case 'state-not-readable':
      return verdictTexts.staysCannotRead(before);
    case 'quarantined':
      return verdictTexts.staysInQuarantine(before);
    case 'slot-damaged':
      return verdictTexts.staysDamaged(before);
    case 'window':
      return verdictTexts.goesBackInWindow(before);
    case 'server':
      return verdictTexts.goesBackWithServer(before, aloneMs / 60_000);
    default:
      return code satisfies never;
  }
}
