import { type CheckStatus, checkStatuses, type HealthAnswer } from '../../protocol/health.ts';
import type { UnknownWord } from '../../protocol/wire-enum.ts';
import type { Sample, Trial, TrialRules } from './trial.ts';

/**
 * What counts in a trial only as a comparison: checks with the baseline, the agent's reach with the updater's. All
 * pure.
 */

/** How long what the updater found about the server is compared with what the agent says. */
const comparedMs = 10_000;
/** The agent's pauses between two tries grow with the outage, up to this. */
const pauseMsMax = 60_000;

function known(status: CheckStatus | UnknownWord | undefined): CheckStatus {
  return checkStatuses.find((word) => word === status) ?? 'unknown';
}

/** Does the updater reach the server? null: no longer known. */
export function reachedNow({ serverReached, serverTriedMs }: Sample): boolean | null {
  return serverTriedMs <= comparedMs ? serverReached : null;
}

/**
 * Checks that were good before the switch and fail now: only a comparison counts. A check that failed and is now
 * unknown has not recovered.
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

/**
 * Can the agent's reach be compared with the updater's? Not if the updater uses a path that this version does not know,
 * or has not been given: then it may be cut off without being worse than the version before.
 */
export function isServerCompared({ path = 'plain' }: Sample, { networkPath }: HealthAnswer): boolean {
  return path === 'plain' || (path === 'published' && networkPath !== undefined);
}

export type ServerLoss = 'none' | 'not-known' | 'cut-off';

/** Does the agent miss a server that it reached before, and that the updater reaches now? */
export function serverLoss(rules: TrialRules, trial: Trial, sample: Sample, answer: HealthAnswer): ServerLoss {
  const now = known(answer.server);
  const isLost = now === 'fail' || (now === 'unknown' && trial.cutOffMs > 0);
  // Where neither reaches it, the updater's next regular try is soon enough.
  if (rules.baselineServer !== 'ok' || !isLost || sample.serverReached === false) return 'none';
  if (!isServerCompared(sample, answer)) return 'none';
  return reachedNow(sample) === null || trial.awayMs > 0 ? 'not-known' : 'cut-off';
}

/** See {@link Trial.awayMs}. */
export function awayMs({ awayMs: before }: Trial, { serverReached, sinceMs }: Sample): number {
  if (serverReached === null) return before;
  return serverReached ? Math.max(0, before - sinceMs) : Math.min(pauseMsMax, before + sinceMs);
}
