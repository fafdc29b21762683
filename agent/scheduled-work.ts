import { join } from 'node:path';
import type { CheckStatus } from '../protocol/health.ts';
import { judge } from './checks.ts';
import type { ClockJudge } from './clock-judge.ts';
import { dutyStoreIn } from './duties/duty-store.ts';
import { Readings } from './duties/readings.ts';
import { Scheduler } from './duties/scheduler.ts';
import type { Effects } from './effects/effects.ts';
import { Stores } from './maker/answers.ts';
import { type MadeWork, madeWork } from './maker/made-work.ts';
import type { Outbox } from './outbox.ts';
import type { ApplianceConfig } from './settings.ts';
import type { State } from './state.ts';
import { agentTexts } from './texts.ts';

/** What the agent does on a schedule, and what its checks say about that. */
export interface ScheduledWork {
  readonly duties: Scheduler;
  readonly made: MadeWork;
  /** A sentence for each setting that is not in force as it was written. */
  readonly settingsProblems: readonly string[];
  /** One reading outside of the schedule. */
  firstReading(): Promise<void>;
  checks(): Record<string, CheckStatus>;
}

interface Around {
  readonly clockJudge: ClockJudge;
  /** The directory of the program, where a release has its maker's part. */
  readonly program: string;
  readonly signal: AbortSignal;
}

/** @throws AgentError `release-invalid` */
export async function scheduledWork(
  effects: Effects,
  stores: { readonly state: State; readonly outbox: Outbox; readonly directory: string },
  config: ApplianceConfig,
  { clockJudge, program, signal }: Around,
): Promise<ScheduledWork> {
  const readings = new Readings(effects, stores, config);
  const { database } = stores.state;
  const { files, clock, log, hideInLog } = effects;
  const secretsDirectory = join(stores.directory, 'secrets');
  const madeIn = {
    files,
    clock,
    log,
    hideInLog,
    secretsDirectory,
    stores: new Stores(database, stores.outbox),
    settings: config.maker,
    signal,
  };
  const made = await madeWork(program, madeIn);
  for (const problem of made.settingsProblems) log.warn({ problem }, agentTexts.settingWrong);
  const settingsProblems = [...config.problems, ...made.settingsProblems];
  const parts = { ...effects, store: dutyStoreIn(database), clockIsWrong: () => clockJudge.isWrong };
  const duties = new Scheduler(parts, [readings.duty, ...made.duties]);
  return {
    duties,
    made,
    settingsProblems,
    firstReading: () => readings.turn(),
    checks: () => ({
      ...made.findings.statuses(),
      ...judge({ ...readings.observed, settingsProblems: settingsProblems.length, duties }, effects.clock.monoMs()),
    }),
  };
}
