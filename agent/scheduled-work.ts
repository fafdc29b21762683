import type { CheckStatus } from '../protocol/health.ts';
import { judge } from './checks.ts';
import type { ClockJudge } from './clock-judge.ts';
import { dutyStoreIn } from './duties/duty-store.ts';
import { Readings } from './duties/readings.ts';
import { Scheduler } from './duties/scheduler.ts';
import type { Effects } from './effects/effects.ts';
import { madeDuties, makerPartIn } from './maker/made-duties.ts';
import type { Outbox } from './outbox.ts';
import type { ApplianceConfig } from './settings.ts';
import type { State } from './state.ts';

/** What the agent does on a schedule, and what its checks say about that. */
export interface ScheduledWork {
  readonly duties: Scheduler;
  /** One reading outside of the schedule. */
  firstReading(): Promise<void>;
  checks(): Record<string, CheckStatus>;
}

/** @param program the directory of the program, where a release has its maker's part. @throws AgentError `release-invalid` */
export async function scheduledWork(
  effects: Effects,
  stores: { readonly state: State; readonly outbox: Outbox; readonly directory: string },
  config: ApplianceConfig,
  { clockJudge, program }: { readonly clockJudge: ClockJudge; readonly program: string },
): Promise<ScheduledWork> {
  const readings = new Readings(effects, stores, config);
  const { database } = stores.state;
  const made = await madeDuties(effects.files, makerPartIn(program), { database, log: effects.log });
  const parts = { ...effects, store: dutyStoreIn(database), clockIsWrong: () => clockJudge.isWrong };
  const duties = new Scheduler(parts, [readings.duty, ...made]);
  const settingsProblems = config.problems.length;
  return {
    duties,
    firstReading: () => readings.turn(),
    checks: () => judge({ ...readings.observed, settingsProblems, duties }, effects.clock.monoMs()),
  };
}
