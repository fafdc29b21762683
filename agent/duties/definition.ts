/**
 * When a duty is due. An interval counts on the monotonic clock, from one due time to the next, and catches nothing up
 * after a standstill. A calendar is a cron expression of five fields in a time zone.
 */
export type Schedule =
  | {
      readonly everyMs: number;
      /** Part of the interval by which a due time may move, to either side: 0 to 0.5. */
      readonly jitter?: number;
    }
  | { readonly calendar: string; readonly timeZone: string };

/** What a duty may use up before it is left alone for a while. */
export interface Budget {
  /** A run that takes longer is ended, and has failed. */
  readonly timeoutMs: number;
  /** Runs for one due time until one succeeds. */
  readonly attempts: number;
  /** Pause before the second attempt; it doubles for each further one. */
  readonly retryMs: number;
  /** Due times that failed in a row until the breaker opens. */
  readonly failures: number;
  /** The breaker stays open for this long; each time that the run after it fails, for twice as long, up to a day. */
  readonly openMs: number;
}

export const usualBudget: Budget = {
  timeoutMs: 30_000,
  attempts: 3,
  retryMs: 5_000,
  failures: 3,
  openMs: 5 * 60_000,
};

/** What a run came to. A run never throws: what it threw is an outcome. */
export type RunOutcome =
  | { readonly outcome: 'done'; readonly result: unknown }
  | { readonly outcome: 'failed'; readonly code: RunFailure; readonly error: string };

export type RunFailure =
  /** It threw, or its promise was rejected. */
  | 'threw'
  /** The module cannot be loaded in its thread. */
  | 'not-loaded'
  /** Its deadline passed. */
  | 'timed-out'
  /** Its thread ended by itself: out of memory, or by `process.exit`. */
  | 'ended'
  /** The agent ended while it ran. */
  | 'cut-off';

/** The names of the agent's own duties: a maker's has another one. */
export const ownDuties = ['readings'] as const;

/** A duty as the scheduler sees it. */
export interface Duty {
  /** Lower-case words with hyphens; rows of state.db and checks are named by it. */
  readonly name: string;
  readonly schedule: Schedule;
  readonly budget: Budget;
  /** Starts as soon as the agent is up; otherwise an interval's first run is spread over the interval, at most a minute. */
  readonly atOnce?: boolean;
  /**
   * Part of the agent itself, tested with it: only its failures are noted. Otherwise each run is noted before it begins, so
   * that one that ends the agent counts.
   */
  readonly isTrusted?: boolean;
  /** One run. It may do anything but block the thread that it is called on; it should heed the signal. */
  run(signal: AbortSignal): Promise<RunOutcome>;
}
