import { type CheckStatus, checkStatuses, type HealthAnswer } from '../protocol/health.ts';
import type { FailureReason } from '../protocol/state-record.ts';
import type { UnknownWord } from '../protocol/wire-enum.ts';

/** What must hold for the version on trial, and for how long. All times in milliseconds of the monotonic clock. */
export interface TrialRules {
  readonly version: string;
  readonly tries: number;
  readonly healthyMs: number;
  readonly deadlineMs: number;
  readonly stallMs: number;
  readonly answerMs: number;
  readonly graceMs: number;
  readonly baseline: Readonly<Record<string, CheckStatus>> | null;
  readonly baselineServer: CheckStatus;
}

/** What one look at the trial found. `sinceMs` is the monotonic time since the look before. */
export interface Sample {
  readonly sinceMs: number;
  readonly alive: boolean;
  /** Is a start under way? launch counts a try before the process is there, and that try is not over. */
  readonly starting: boolean;
  /** Starts that launch counted as tries, and power cycles. */
  readonly tries: number;
  readonly outOfBoots: boolean;
  /** It lives, and no start of it is counted: the record of its tries is lost. */
  readonly countLost: boolean;
  /** The nonce of the newest start. */
  readonly nonce: string | null;
  readonly answer: HealthAnswer | null;
  /** By how much its counter moved with answers that followed each other without a pause; absent: not with each of them. */
  readonly movedByAsking?: number;
  /** Does the updater itself reach the server now? null: not tried yet. */
  readonly serverReached: boolean | null;
  /** Check-ins of this start of this version that the server vouches for. */
  readonly seen: number;
}

/** The trial so far; a pure value, so that the judge can be killed and go on. */
export interface Trial {
  readonly healthyMs: number;
  readonly usedMs: number;
  readonly nonce: string | null;
  readonly progress: number | null;
  /** How long work stood still, no answer came, a check failed: in a row. */
  readonly stillMs: number;
  readonly silentMs: number;
  readonly regressedMs: number;
  readonly cutOffMs: number;
  /** Was any start of it healthy? Then a crash loop is a flap. */
  readonly wasHealthy: boolean;
}

export function beginTrial(healthyMs: number, usedMs: number): Trial {
  return {
    healthyMs,
    usedMs,
    nonce: null,
    progress: null,
    stillMs: 0,
    silentMs: 0,
    regressedMs: 0,
    cutOffMs: 0,
    wasHealthy: false,
  };
}

export type Verdict =
  | { readonly verdict: 'undecided'; readonly trial: Trial; readonly obstacle: string }
  | { readonly verdict: 'passed'; readonly trial: Trial }
  | { readonly verdict: 'failed'; readonly trial: Trial; readonly reason: FailureReason; readonly text: string };

/** Check-ins of the new version that the server must have seen. */
const seenNeeded = 2;

function known(status: CheckStatus | UnknownWord | undefined): CheckStatus {
  return checkStatuses.find((word) => word === status) ?? 'unknown';
}

/** Checks that were not failing before the switch and fail now: only a comparison counts. */
function regressions(rules: Pick<TrialRules, 'baseline'>, answer: HealthAnswer): string[] {
  const { baseline } = rules;
  if (baseline === null) return [];
  return Object.keys(baseline).filter((name) => {
    const before = baseline[name];
    return (before === 'ok' || before === 'warn') && known(answer.checks[name]) === 'fail';
  });
}

interface Look {
  readonly trial: Trial;
  readonly obstacle: string | null;
  readonly regressed: readonly string[];
}

/** Brings the counters forward by one sample. */
function look(rules: TrialRules, before: Trial, sample: Sample): Look {
  const usedMs = before.usedMs + sample.sinceMs;
  // A new start has nothing to show yet: its healthy time begins again.
  const restarted = sample.nonce !== before.nonce;
  const trial: Trial = restarted
    ? {
        ...before,
        usedMs,
        nonce: sample.nonce,
        progress: null,
        stillMs: 0,
        silentMs: 0,
        healthyMs: before.nonce === null ? before.healthyMs : 0,
      }
    : { ...before, usedMs };
  const { answer } = sample;
  if (!sample.alive) return { trial, obstacle: 'the process does not live', regressed: [] };
  const ours = answer !== null && sample.nonce !== null && answer.nonce === sample.nonce ? answer : null;
  if (ours === null) {
    const silentMs = trial.silentMs + sample.sinceMs;
    const why = answer === null ? 'it does not answer' : 'what answers is not what launch started';
    return { trial: { ...trial, silentMs }, obstacle: why, regressed: [] };
  }
  // What answering alone moves is no work: as much as so many answers moved it proves nothing.
  const byAsking = sample.movedByAsking ?? 0;
  const moved = trial.progress !== null && ours.progress - trial.progress > byAsking;
  const stillMs = moved || trial.progress === null ? 0 : trial.stillMs + sample.sinceMs;
  const regressed = regressions(rules, ours);
  const cutOff = rules.baselineServer === 'ok' && sample.serverReached === true && known(ours.server) === 'fail';
  const after: Trial = {
    ...trial,
    progress: ours.progress + byAsking,
    stillMs,
    silentMs: 0,
    regressedMs: regressed.length > 0 ? trial.regressedMs + sample.sinceMs : 0,
    cutOffMs: cutOff ? trial.cutOffMs + sample.sinceMs : 0,
  };
  // Work has a rhythm of its own, which need not be that of our looks.
  const obstacle = firstObstacle(ours, stillMs * 2 >= rules.stallMs, regressed, cutOff);
  if (obstacle !== null) return { trial: after, obstacle, regressed };
  // Healthy until the sample before, and moving since: the time in between counts. The first sample of a start shows nothing yet.
  const healthyMs = trial.progress === null ? trial.healthyMs : trial.healthyMs + sample.sinceMs;
  return { trial: { ...after, healthyMs, wasHealthy: true }, obstacle: null, regressed };
}

function firstObstacle(
  answer: HealthAnswer,
  isStill: boolean,
  regressed: readonly string[],
  cutOff: boolean,
): string | null {
  if (!answer.state.migrated) return 'its state is not migrated yet';
  if (isStill) return 'its work stands still';
  if (regressed.length > 0) return `worse than before: ${regressed.join(', ')}`;
  return cutOff ? 'it does not reach the server, which the updater reaches' : null;
}

const seconds = (ms: number) => `${Math.round(ms / 100) / 10} s`;

function failure(
  rules: TrialRules,
  { trial, regressed }: Look,
  sample: Sample,
): { reason: FailureReason; text: string } | null {
  const { answer } = sample;
  if (answer !== null && answer.nonce === sample.nonce && answer.version !== rules.version) {
    return { reason: 'wrong-version', text: `it says that it is ${answer.version}` };
  }
  if (sample.outOfBoots) return { reason: 'inconclusive', text: 'the power failed too often for a verdict' };
  if (sample.countLost) return { reason: 'inconclusive', text: 'the record of its tries was lost' };
  if (!sample.alive && !sample.starting && sample.tries >= rules.tries) {
    return trial.wasHealthy
      ? { reason: 'flap', text: `it was healthy and then ended ${sample.tries} times` }
      : { reason: 'crash-loop', text: `it ended ${sample.tries} times in ${sample.tries} tries` };
  }
  if (trial.stillMs >= rules.stallMs)
    return { reason: 'stalled', text: `its work stood still for ${seconds(trial.stillMs)} while it went on answering` };
  if (trial.silentMs >= rules.answerMs)
    return { reason: 'no-answer', text: `it gave no valid health answer for ${seconds(trial.silentMs)}` };
  if (trial.regressedMs > rules.graceMs)
    return { reason: 'regression', text: `worse than before the switch: ${regressed.join(', ')}` };
  if (trial.cutOffMs > rules.graceMs) {
    return {
      reason: 'server-not-reached',
      text: 'it does not reach the server, which it could before and the updater can now',
    };
  }
  return null;
}

function deadlineReason(obstacle: string, answer: HealthAnswer | null): FailureReason {
  if (obstacle === notSeen) return 'not-seen-by-server';
  return answer?.state.migrated === false ? 'state-not-migrated' : 'deadline';
}

const notSeen = 'the server has not seen two check-ins of it';

/** One step of the judgement (DESIGN section 4, "The verdict of a trial"). Pure. */
export function judge(rules: TrialRules, before: Trial, sample: Sample): Verdict {
  const looked = look(rules, before, sample);
  const { trial } = looked;
  const failed = failure(rules, looked, sample);
  if (failed !== null) return { verdict: 'failed', trial, ...failed };
  // Whether the server is reachable must be known before its word can be done without.
  const vouched = sample.serverReached === false || (sample.serverReached === true && sample.seen >= seenNeeded);
  const obstacle = looked.obstacle ?? (vouched ? null : notSeen);
  if (obstacle === null && trial.healthyMs >= rules.healthyMs) return { verdict: 'passed', trial };
  if (trial.usedMs >= rules.deadlineMs) {
    const because = obstacle ?? 'it was not healthy for long enough';
    return {
      verdict: 'failed',
      trial,
      reason: deadlineReason(because, sample.answer),
      text: `after ${seconds(trial.usedMs)}: ${because}`,
    };
  }
  return { verdict: 'undecided', trial, obstacle: obstacle ?? 'it needs more healthy time' };
}
