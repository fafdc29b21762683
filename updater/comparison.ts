import { type CheckStatus, checkStatuses, type HealthAnswer } from '../protocol/health.ts';
import type { UnknownWord } from '../protocol/wire-enum.ts';
import type { Sample, Trial, TrialRules } from './trial.ts';

/** What counts in a trial only as a comparison: checks with the baseline, the agent's reach with the updater's. All pure. */

/** What the updater found out about the server is compared with what the agent says for this long. */
const comparedMs = 10_000;
/** The agent's pauses between two tries grow with the outage, up to this. */
const pauseMsMax = 60_000;

function known(status: CheckStatus | UnknownWord | undefined): CheckStatus {
  return checkStatuses.find((word) => word === status) ?? 'unknown';
}

/** Does the updater reach the server? null: nobody knows any more. */
export function reachedNow({ serverReached, serverTriedMs }: Sample): boolean | null {
  return serverTriedMs <= comparedMs ? serverReached : null;
}

/**
 * Checks that were good before the switch and fail now: only a comparison counts. One that failed and is not known any
 * more has not recovered.
 */
export function regressions({ baseline }: TrialRules, before: Trial, answer: HealthAnswer): string[] {
  if (baseline === null) return [];
  return Object.keys(baseline).filter((name) => {
    const was = baseline[name];
    if (was !== 'ok' && was !== 'warn') return false;
    const now = Object.hasOwn(answer.checks, name) ? known(answer.checks[name]) : 'unknown';
    return now === 'fail' || (now === 'unknown' && before.regressed.includes(name));
  });
}

export type ServerLoss = 'none' | 'not-known' | 'cut-off';

/** Does the agent miss a server that it had before, and the updater has now? */
export function serverLoss(rules: TrialRules, trial: Trial, sample: Sample, answer: HealthAnswer): ServerLoss {
  const now = known(answer.server);
  const isLost = now === 'fail' || (now === 'unknown' && trial.cutOffMs > 0);
  // Where neither reaches it, the next try of the updater, at its own pace, is soon enough.
  if (rules.baselineServer !== 'ok' || !isLost || sample.serverReached === false) return 'none';
  return reachedNow(sample) === null || trial.awayMs > 0 ? 'not-known' : 'cut-off';
}

/** See {@link Trial.awayMs}. */
export function awayMs({ awayMs: before }: Trial, { serverReached, sinceMs }: Sample): number {
  if (serverReached === null) return before;
  return serverReached ? Math.max(0, before - sinceMs) : Math.min(pauseMsMax, before + sinceMs);
}
