import type { CheckStatus } from '../protocol/health.ts';

/** Bytes that must be free for the agent's own files; below the lower limit SQLite begins to fail. */
const freeBytesWarn = 64 * 1024 * 1024;
export const freeBytesFail = 8 * 1024 * 1024;
/** Waiting events: about a day's at one per second. */
const waitingWarn = 100_000;
/** A measurement this old still counts: one slow moment of the machine is no broken sensor. */
const measuredFreshMs = 60_000;
/** A reading is late after three intervals, and never before this: a busy machine is no broken agent. */
const readingFreshMsMin = 5_000;

/** What the duty found, by its own clock; null: not yet. */
export interface Observed {
  readonly duty: { readonly outcome: 'ok' | 'failed'; readonly monoMs: number } | null;
  readonly measuredMonoMs: number | null;
  readonly stores: { readonly state: CheckStatus; readonly outbox: CheckStatus };
  readonly waiting: number;
  readonly space: { readonly freeBytes: number; readonly volatile: boolean } | null;
  readonly settingsProblems: number;
  /** Duties whose breaker is open. */
  readonly duties: { readonly open: number };
  readonly intervalMs: number;
}

/** The names of the agent's own checks: a maker's has another one. */
export const ownChecks = ['readings', 'sensor', 'state', 'outbox', 'disk', 'duties', 'settings'] as const;

/** The current status of each check. What is not known is `unknown`, never `ok`. */
export function judge(seen: Observed, nowMs: number): Record<string, CheckStatus> {
  return {
    readings: judgeReadings(seen, nowMs),
    sensor: seen.measuredMonoMs !== null && nowMs - seen.measuredMonoMs <= measuredFreshMs ? 'ok' : 'unknown',
    // A state that a power cut would erase is not healthy, however well it works until then (S7).
    state: seen.stores.state === 'ok' && seen.space?.volatile === true ? 'warn' : seen.stores.state,
    outbox: seen.stores.outbox === 'ok' && seen.waiting > waitingWarn ? 'warn' : seen.stores.outbox,
    disk: judgeDisk(seen.space),
    // One that is left alone is one piece of work that is not done.
    duties: seen.duties.open === 0 ? 'ok' : 'warn',
    settings: seen.settingsProblems === 0 ? 'ok' : 'warn',
  };
}

function judgeReadings({ duty, intervalMs }: Observed, nowMs: number): CheckStatus {
  if (duty === null) return 'unknown';
  const late = nowMs - duty.monoMs > Math.max(readingFreshMsMin, 3 * intervalMs);
  return duty.outcome === 'ok' && !late ? 'ok' : 'fail';
}

function judgeDisk(space: Observed['space']): CheckStatus {
  if (space === null) return 'unknown';
  if (space.freeBytes < freeBytesFail) return 'fail';
  return space.freeBytes < freeBytesWarn ? 'warn' : 'ok';
}

const severity: readonly CheckStatus[] = ['ok', 'unknown', 'warn', 'fail'];

/** The worst of the checks, for the single status of a check-in. */
export function worst(checks: Readonly<Record<string, CheckStatus>>): CheckStatus {
  const statuses = Object.values(checks);
  return severity.findLast((status) => statuses.includes(status)) ?? 'unknown';
}
