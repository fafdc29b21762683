import type { Clock, Log } from '../effects/effects.ts';
import type { DutyProgress } from './progress-of-duty.ts';

/** What the scheduler needs, and what it tells. */

/** Where the progress of duties is kept. Each may throw a `SqliteError`: then it is known until the agent ends. */
export interface DutyStore {
  read(name: string): DutyProgress;
  write(name: string, progress: DutyProgress): void;
}

export interface SchedulerParts {
  readonly clock: Clock;
  readonly boot: string;
  /** Between 0 and 1. */
  readonly random: () => number;
  readonly store: DutyStore;
  readonly log: Log;
  /** While the wall clock is known to be wrong, no calendar is looked at. */
  readonly clockIsWrong: () => boolean;
}

/** What people see of a duty. */
export interface DutyView {
  readonly name: string;
  readonly state: 'waiting' | 'running' | 'open';
  /** Milliseconds until it is due, or tried again; null: not within a day. */
  readonly nextInMs: number | null;
  readonly last: DutyProgress['last'];
  /** What its last run in this start returned; undefined: none did. */
  readonly result: unknown;
  readonly failures: number;
}
