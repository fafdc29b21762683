import type { HealthAnswer } from '../../protocol/health.ts';
import type { FailureReason } from '../../protocol/state-record.ts';
import { verdictTexts } from '../words/texts.ts';
import { awayMs, isServerCompared, reachedNow, regressions, type ServerLoss, serverLoss } from './comparison.ts';
import { deadlineUsedMs, type Sample, startName, type Trial, type TrialRules, type TrialWaits } from './trial.ts';

export type Verdict =
  | {
      readonly verdict: 'undecided';
      readonly trial: Trial;
      readonly obstacle: string;
      /**
       * The verdict depends on whether the updater reaches the server, and that is no longer known: it has to try now.
       */
      readonly asksServer: boolean;
    }
  | { readonly verdict: 'passed'; readonly trial: Trial }
  | { readonly verdict: 'failed'; readonly trial: Trial; readonly reason: FailureReason; readonly text: string };

/** Check-ins of the new version that the server must have seen. */
const seenNeeded = 2;

/**
 * What a version that was healthy for long enough still waits for at the server; null: it was not, or waits for
 * nothing.
 */
export function waitsOf(
  { healthyMs }: Pick<TrialRules, 'healthyMs'>,
  verdict: Verdict,
  sample: Sample,
): TrialWaits | null {
  if (verdict.verdict !== 'undecided' || verdict.obstacle !== notSeen) return null;
  return verdict.trial.healthyMs >= healthyMs ? { seen: sample.seen, of: seenNeeded } : null;
}

interface Look {
  readonly trial: Trial;
  readonly obstacle: string | null;
  /** The answer, if it is from this start. */
  readonly ours: HealthAnswer | null;
  readonly loss: ServerLoss;
}

/** The counters at this look, before anything of the version is checked. */
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
  if (!sample.alive) return without(verdictTexts.notAlive, {});
  if (ours === null) {
    const why = answer === null ? verdictTexts.noAnswer : verdictTexts.notStartedByLaunch;
    return without(why, { silentMs: trial.silentMs + sinceMs });
  }
  const { progress } = trial;
  const isFirst = progress === null;
  // Movement caused by answering alone is not work: a movement as large as these answers caused proves nothing.
  const byAsking = sample.movedByAsking ?? 0;
  const moved = progress !== null && ours.progress - progress > byAsking;
  const migratingMs = trial.migratingMs + (ours.state.migrated ? 0 : sinceMs);
  // A migration with a deadline of its own excuses work that does not move.
  const isExcused = !ours.state.migrated && rules.migrationMs !== null;
  const stillMs = moved || isFirst ? 0 : trial.stillMs + (isExcused ? 0 : sinceMs);
  const regressed = regressions(rules, trial, ours);
  const loss = serverLoss(rules, trial, sample, ours);
  const after: Trial = {
    ...trial,
    // It only rises: a counter that fell and rose again shows no work.
    progress: Math.max(progress ?? 0, ours.progress + byAsking),
    migratingMs,
    stillMs,
    silentMs: 0,
    regressed,
    serverCompared: isServerCompared(sample, ours),
    regressedMs: regressed.length > 0 ? trial.regressedMs + sinceMs : 0,
    cutOffMs: loss === 'none' ? 0 : trial.cutOffMs + (loss === 'cut-off' ? sinceMs : 0),
  };
  const obstacle = firstObstacle(ours, regressed, loss);
  if (obstacle !== null) return { trial: { ...after, unprovenMs: null }, obstacle, ours, loss };
  // Only the time between two healthy looks counts, and only once the work has moved, because work has its own rhythm.
  const unprovenMs = trial.unprovenMs === null ? 0 : trial.unprovenMs + sinceMs;
  const times = moved ? { healthyMs: trial.healthyMs + unprovenMs, unprovenMs: 0 } : { unprovenMs };
  const isStill = stillMs * 2 >= rules.stallMs;
  return { trial: { ...after, ...times, wasHealthy: true }, obstacle: isStill ? standsStill : null, ours, loss };
}

const standsStill = verdictTexts.workStandsStill;

function firstObstacle(answer: HealthAnswer, regressed: readonly string[], loss: ServerLoss): string | null {
  if (!answer.state.migrated) return verdictTexts.notMigratedYet;
  if (regressed.length > 0) return verdictTexts.worseNow(regressed.join(', '));
  switch (loss) {
    case 'none':
      return null;
    case 'not-known':
      return verdictTexts.serverUnknown;
    case 'cut-off':
      return verdictTexts.serverNotReached;
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
    return { reason: 'wrong-version', text: verdictTexts.saysVersion(ours.version) };
  }
  if (sample.outOfBoots) return { reason: 'inconclusive', text: verdictTexts.powerFailed };
  if (sample.countLost) return { reason: 'inconclusive', text: verdictTexts.triesLost };
  if (!sample.alive && !sample.starting && sample.tries >= rules.tries) {
    return trial.wasHealthy
      ? { reason: 'flap', text: verdictTexts.healthyThenEnded(sample.tries) }
      : { reason: 'crash-loop', text: verdictTexts.endedInTries(sample.tries) };
  }
  if (rules.migrationMs !== null && trial.migratingMs >= rules.migrationMs) {
    const text = verdictTexts.notMigrated(seconds(trial.migratingMs));
    return { reason: 'state-not-migrated', text };
  }
  if (trial.stillMs >= rules.stallMs)
    return { reason: 'stalled', text: verdictTexts.stoodStill(seconds(trial.stillMs)) };
  if (trial.silentMs >= rules.answerMs)
    return { reason: 'no-answer', text: verdictTexts.noValidAnswer(seconds(trial.silentMs)) };
  if (trial.regressedMs > rules.graceMs)
    return { reason: 'regression', text: verdictTexts.worseThanBefore(trial.regressed.join(', ')) };
  if (trial.cutOffMs > rules.graceMs) {
    return {
      reason: 'server-not-reached',
      text: verdictTexts.serverLost,
    };
  }
  return null;
}

function deadlineReason(obstacle: string, answer: HealthAnswer | null): FailureReason {
  if (obstacle === notSeen) return 'not-seen-by-server';
  return answer?.state.migrated === false ? 'state-not-migrated' : 'deadline';
}

const notSeen = verdictTexts.notSeen;

/** One step of the judgement. Pure. */
export function judge(rules: TrialRules, before: Trial, sample: Sample): Verdict {
  const looked = look(rules, before, sample);
  const { trial, ours, loss } = looked;
  const failed = failure(rules, looked, sample);
  if (failed !== null) return { verdict: 'failed', trial, ...failed };
  const reached = reachedNow(sample);
  // Before the trial may pass without the server's word, it must be known, as of now, that the server is unreachable;
  // and a version that cannot take the updater's path is not expected to be seen.
  const vouched = sample.seen >= seenNeeded || reached === false || !trial.serverCompared;
  const obstacle = looked.obstacle ?? (vouched ? null : notSeen);
  const wasLongEnough = trial.healthyMs >= rules.healthyMs;
  if (obstacle === null && wasLongEnough) return { verdict: 'passed', trial };
  if (deadlineUsedMs(trial, rules.migrationMs) >= rules.deadlineMs) {
    const because = obstacle ?? verdictTexts.notHealthyLongEnough;
    return {
      verdict: 'failed',
      trial,
      reason: deadlineReason(because, ours),
      text: verdictTexts.after(seconds(trial.usedMs), because),
    };
  }
  const waitsForWord = obstacle === notSeen && wasLongEnough && sample.serverReached !== true;
  const asksServer = reached === null && (loss === 'not-known' || waitsForWord);
  return { verdict: 'undecided', trial, obstacle: obstacle ?? verdictTexts.needsMoreTime, asksServer };
}
