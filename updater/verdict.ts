import type { HealthAnswer } from '../protocol/health.ts';
import type { FailureReason } from '../protocol/state-record.ts';
import { awayMs, reachedNow, regressions, type ServerLoss, serverLoss } from './comparison.ts';
import { deadlineUsedMs, type Sample, startName, type Trial, type TrialRules } from './trial.ts';

export type Verdict =
  | {
      readonly verdict: 'undecided';
      readonly trial: Trial;
      readonly obstacle: string;
      /** The verdict hangs on whether the updater reaches the server, and that is not known any more: it has to try now. */
      readonly asksServer: boolean;
    }
  | { readonly verdict: 'passed'; readonly trial: Trial }
  | { readonly verdict: 'failed'; readonly trial: Trial; readonly reason: FailureReason; readonly text: string };

/** Check-ins of the new version that the server must have seen. */
const seenNeeded = 2;

interface Look {
  readonly trial: Trial;
  readonly obstacle: string | null;
  /** The answer, when it is one of this very start. */
  readonly ours: HealthAnswer | null;
  readonly loss: ServerLoss;
}

/** The counters as this look finds them, before anything of the version is looked at. */
function begun(before: Trial, sample: Sample): Trial {
  const times = { usedMs: before.usedMs + sample.sinceMs, awayMs: awayMs(before, sample) };
  const start = sample.nonce === null ? null : startName(sample.nonce);
  if (start === before.start) return { ...before, ...times };
  // A new start has nothing to show yet: its healthy time begins again.
  const healthyMs = before.start === null ? before.healthyMs : 0;
  return { ...before, ...times, start, healthyMs, progress: null, unprovenMs: null, stillMs: 0, silentMs: 0 };
}

/** Brings the counters forward by one sample. */
function look(rules: TrialRules, before: Trial, sample: Sample): Look {
  const trial = begun(before, sample);
  const { answer, sinceMs } = sample;
  const ours = answer !== null && answer.nonce === sample.nonce ? answer : null;
  const without = (obstacle: string, changes: Partial<Trial>): Look => {
    return { trial: { ...trial, ...changes, unprovenMs: null }, obstacle, ours: null, loss: 'none' };
  };
  if (!sample.alive) return without('the process does not live', {});
  if (ours === null) {
    const why = answer === null ? 'it does not answer' : 'what answers is not what launch started';
    return without(why, { silentMs: trial.silentMs + sinceMs });
  }
  const { progress } = trial;
  const isFirst = progress === null;
  // What answering alone moves is no work: as much as so many answers moved it proves nothing.
  const byAsking = sample.movedByAsking ?? 0;
  const moved = progress !== null && ours.progress - progress > byAsking;
  const migratingMs = trial.migratingMs + (ours.state.migrated ? 0 : sinceMs);
  // Where a migration has a deadline of its own, the work need not move in it.
  const isExcused = !ours.state.migrated && rules.migrationMs !== null;
  const stillMs = moved || isFirst ? 0 : trial.stillMs + (isExcused ? 0 : sinceMs);
  const regressed = regressions(rules, trial, ours);
  const loss = serverLoss(rules, trial, sample, ours);
  const after: Trial = {
    ...trial,
    // It only rises: what went back and came again is no work.
    progress: Math.max(progress ?? 0, ours.progress + byAsking),
    migratingMs,
    stillMs,
    silentMs: 0,
    regressed,
    regressedMs: regressed.length > 0 ? trial.regressedMs + sinceMs : 0,
    cutOffMs: loss === 'none' ? 0 : trial.cutOffMs + (loss === 'cut-off' ? sinceMs : 0),
  };
  const obstacle = firstObstacle(ours, regressed, loss);
  if (obstacle !== null) return { trial: { ...after, unprovenMs: null }, obstacle, ours, loss };
  // Only the time between two healthy looks counts, and only once the work has moved: it has a rhythm of its own.
  const unprovenMs = trial.unprovenMs === null ? 0 : trial.unprovenMs + sinceMs;
  const times = moved ? { healthyMs: trial.healthyMs + unprovenMs, unprovenMs: 0 } : { unprovenMs };
  const isStill = stillMs * 2 >= rules.stallMs;
  return { trial: { ...after, ...times, wasHealthy: true }, obstacle: isStill ? standsStill : null, ours, loss };
}

const standsStill = 'its work stands still';

function firstObstacle(answer: HealthAnswer, regressed: readonly string[], loss: ServerLoss): string | null {
  if (!answer.state.migrated) return 'its state is not migrated yet';
  if (regressed.length > 0) return `worse than before: ${regressed.join(', ')}`;
  switch (loss) {
    case 'none':
      return null;
    case 'not-known':
      return 'it does not reach the server, and whether the updater does is not known yet';
    case 'cut-off':
      return 'it does not reach the server, which the updater reaches';
    default:
      return loss satisfies never;
  }
}

const seconds = (ms: number) => `${Math.round(ms / 100) / 10} s`;

function failure(
  rules: TrialRules,
  { trial, ours }: Look,
  sample: Sample,
): { reason: FailureReason; text: string } | null {
  if (ours !== null && ours.version !== rules.version) {
    return { reason: 'wrong-version', text: `it says that it is ${ours.version}` };
  }
  if (sample.outOfBoots) return { reason: 'inconclusive', text: 'the power failed too often for a verdict' };
  if (sample.countLost) return { reason: 'inconclusive', text: 'the record of its tries was lost' };
  if (!sample.alive && !sample.starting && sample.tries >= rules.tries) {
    return trial.wasHealthy
      ? { reason: 'flap', text: `it was healthy and then ended ${sample.tries} times` }
      : { reason: 'crash-loop', text: `it ended ${sample.tries} times in ${sample.tries} tries` };
  }
  if (rules.migrationMs !== null && trial.migratingMs >= rules.migrationMs) {
    const text = `its state was not migrated after ${seconds(trial.migratingMs)}, which is what its release asks for`;
    return { reason: 'state-not-migrated', text };
  }
  if (trial.stillMs >= rules.stallMs)
    return { reason: 'stalled', text: `its work stood still for ${seconds(trial.stillMs)} while it went on answering` };
  if (trial.silentMs >= rules.answerMs)
    return { reason: 'no-answer', text: `it gave no valid health answer for ${seconds(trial.silentMs)}` };
  if (trial.regressedMs > rules.graceMs)
    return { reason: 'regression', text: `worse than before the switch: ${trial.regressed.join(', ')}` };
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
  const { trial, ours, loss } = looked;
  const failed = failure(rules, looked, sample);
  if (failed !== null) return { verdict: 'failed', trial, ...failed };
  const reached = reachedNow(sample);
  // Whether the server is reachable must be known, and known now, before its word can be done without.
  const vouched = sample.seen >= seenNeeded || reached === false;
  const obstacle = looked.obstacle ?? (vouched ? null : notSeen);
  const wasLongEnough = trial.healthyMs >= rules.healthyMs;
  if (obstacle === null && wasLongEnough) return { verdict: 'passed', trial };
  if (deadlineUsedMs(trial, rules.migrationMs) >= rules.deadlineMs) {
    const because = obstacle ?? 'it was not healthy for long enough';
    return {
      verdict: 'failed',
      trial,
      reason: deadlineReason(because, ours),
      text: `after ${seconds(trial.usedMs)}: ${because}`,
    };
  }
  const waitsForWord = obstacle === notSeen && wasLongEnough && sample.serverReached !== true;
  const asksServer = reached === null && (loss === 'not-known' || waitsForWord);
  return { verdict: 'undecided', trial, obstacle: obstacle ?? 'it needs more healthy time', asksServer };
}
