import type { z } from 'zod';
import type { Budget, Schedule } from './definition.ts';

/** What a duty of a maker can reach of the agent. */
export interface DutyContext {
  /** At most 100 lines a run; further ones are counted. */
  readonly log: Record<'info' | 'warn' | 'error', (...words: unknown[]) => void>;
  readonly clock: {
    /** Milliseconds since the boot: for durations. */
    monoMs(): number;
    /** Seconds since 1970 by the appliance's clock, which may be wrong: for people. */
    wallS(): number;
  };
  /** Values by key, of this duty alone; they go back with a release that is rolled back. @throws beyond its bounds */
  readonly store: {
    get(key: string): Promise<unknown>;
    set(key: string, value: unknown): Promise<void>;
    delete(key: string): Promise<void>;
  };
  /** Aborts at the deadline, and when the agent stops. */
  readonly signal: AbortSignal;
}

/** A piece of work on a schedule. */
export interface DutyDefinition<Result> {
  /** Lower-case words with hyphens, at most 40 characters. */
  readonly name: string;
  readonly schedule: Schedule;
  readonly budget?: Partial<Budget>;
  /** What `run` returns is checked by it; what does not fit is a failed run. */
  readonly result?: z.ZodType<Result>;
  run(context: DutyContext): Promise<Result> | Result;
}

export interface MadeDuty extends DutyDefinition<unknown> {
  readonly kind: 'duty';
}

/** Among all that a maker's module exports. */
export function isMadeDuty(value: unknown): value is MadeDuty {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'duty' && 'name' in value;
}
