import { cut } from '../../protocol/text.ts';
import type { Budget, RunOutcome } from './definition.ts';

/** A moment that is comparable within one boot. */
export interface Moment {
  readonly boot: string;
  readonly monoMs: number;
}

/** What is known of a duty, as state.db keeps it: it survives restarts and goes back with a slot. */
export interface DutyProgress {
  /** Failed attempts for the present due time. */
  readonly attempts: number;
  /** Due times that failed in a row. */
  readonly failures: number;
  /** How often the breaker opened since the last success. */
  readonly opened: number;
  /** The open breaker: until `forMs` have passed since `since`; null: closed. */
  readonly open: { readonly since: Moment; readonly forMs: number } | null;
  /** A run began here and has not ended; null: none. */
  readonly runningSince: Moment | null;
  /** The last end of a run. */
  readonly last: DutyEnd | null;
  /** The local minute of a calendar's last due time that was taken, such as `2026-10-25 02:30`; empty: none. */
  readonly taken: string;
}

export interface DutyEnd {
  readonly at: Moment;
  readonly tookMs: number;
  readonly outcome: 'done' | 'failed';
  /** Empty where it succeeded. */
  readonly error: string;
}

export const noProgress: DutyProgress = {
  attempts: 0,
  failures: 0,
  opened: 0,
  open: null,
  runningSince: null,
  last: null,
  taken: '',
};

/** Characters of an error that are kept with the duty; the log has the whole of it. */
const errorCharsMax = 500;
const openMsMax = 24 * 60 * 60_000;
const retryMsMax = 60 * 60_000;

/** A run begins: noted before it, so that a run that ends the agent counts as failed at the next start. */
export function begun(progress: DutyProgress, now: Moment, taken: string): DutyProgress {
  return { ...progress, runningSince: now, taken: taken === '' ? progress.taken : taken };
}

/** A run ended. */
export function ended(progress: DutyProgress, budget: Budget, found: RunOutcome, now: Moment): DutyProgress {
  const { runningSince: since } = progress;
  const tookMs = since !== null && since.boot === now.boot ? Math.max(now.monoMs - since.monoMs, 0) : 0;
  const { taken } = progress;
  if (found.outcome === 'done') {
    return { ...noProgress, taken, last: { at: now, tookMs, outcome: 'done', error: '' } };
  }
  const error = `${found.code}: ${cut(found.error, errorCharsMax)}`;
  const failed = { ...progress, runningSince: null, last: { at: now, tookMs, outcome: 'failed', error } as const };
  // An open breaker lets one run through: if it fails, it is open again, whatever attempts would be left.
  const isUsedUp = progress.open !== null || progress.attempts + 1 >= budget.attempts;
  if (!isUsedUp) return { ...failed, attempts: progress.attempts + 1 };
  const failures = progress.failures + 1;
  if (failures < budget.failures && progress.open === null) return { ...failed, attempts: 0, failures };
  const forMs = Math.min(budget.openMs * 2 ** Math.min(progress.opened, 20), openMsMax);
  return { ...failed, attempts: 0, failures, opened: progress.opened + 1, open: { since: now, forMs } };
}

/**
 * Milliseconds until a duty may run again because of what went before: the pause before a further attempt, or the rest
 * of an open breaker. 0: it waits only for its schedule. After a reboot, an open breaker waits its whole time again:
 * how long the appliance was off is not known without a trusted clock.
 */
export function waitMs(progress: DutyProgress, budget: Budget, now: Moment): number {
  const { open, attempts, last } = progress;
  if (open !== null) return rest(open.since, open.forMs, now);
  if (attempts === 0 || last === null) return 0;
  return rest(last.at, Math.min(budget.retryMs * 2 ** Math.min(attempts - 1, 20), retryMsMax), now);
}

function rest(since: Moment, forMs: number, now: Moment): number {
  const passedMs = since.boot === now.boot ? Math.max(now.monoMs - since.monoMs, 0) : 0;
  return Math.max(forMs - passedMs, 0);
}

/** At a start: what a crash of the agent left running has failed, and counts. */
export function afterRestart(progress: DutyProgress, budget: Budget, now: Moment, words: string): DutyProgress {
  const begins = progress.open === null ? progress : { ...progress, open: restarted(progress.open, now) };
  if (begins.runningSince === null) return begins;
  return ended(begins, budget, { outcome: 'failed', code: 'cut-off', error: words }, now);
}

function restarted(open: NonNullable<DutyProgress['open']>, now: Moment): NonNullable<DutyProgress['open']> {
  return open.since.boot === now.boot ? open : { ...open, since: now };
}
