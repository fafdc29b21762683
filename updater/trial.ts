import { sha256 } from '../protocol/digest.ts';
import type { CheckStatus, HealthAnswer } from '../protocol/health.ts';

/** What must hold for the version on trial, and for how long. All times in milliseconds of the monotonic clock. */
export interface TrialRules {
  readonly version: string;
  readonly tries: number;
  readonly healthyMs: number;
  readonly deadlineMs: number;
  readonly stallMs: number;
  readonly answerMs: number;
  readonly graceMs: number;
  /** How long it may say in all that its state is not migrated; null: the rules for everything else hold then, too. */
  readonly migrationMs: number | null;
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
  /** Did the updater itself reach the server when it tried last? null: not tried yet. */
  readonly serverReached: boolean | null;
  /** How long ago that was. */
  readonly serverTriedMs: number;
  /** Check-ins of this start of this version that the server vouches for. */
  readonly seen: number;
}

/** The trial so far; a pure value, so that the judge can be killed and go on. */
export interface Trial {
  readonly healthyMs: number;
  readonly usedMs: number;
  /** For how long it said that its state is not migrated, over all of its starts. */
  readonly migratingMs: number;
  /** The start that the healthy time belongs to; null: none yet. */
  readonly start: string | null;
  readonly progress: number | null;
  /** Healthy in each look since, but no work was seen: it counts when the work moves. null: not healthy in the look before. */
  readonly unprovenMs: number | null;
  /** How long work stood still, no answer came, a check failed, the server was missing: in a row. */
  readonly stillMs: number;
  readonly silentMs: number;
  readonly regressed: readonly string[];
  readonly regressedMs: number;
  readonly cutOffMs: number;
  /** For so long after its return the server is not compared: who found it away asks again after a pause of that length. */
  readonly awayMs: number;
  /** Was any start of it healthy? Then a crash loop is a flap. */
  readonly wasHealthy: boolean;
}

/** What of a trial is on disk; the rest is seen anew. */
export type KeptTrial = Pick<Trial, 'healthyMs' | 'usedMs' | 'migratingMs' | 'start'>;

export function beginTrial(kept: Partial<KeptTrial> = {}): Trial {
  const { healthyMs = 0, usedMs = 0, migratingMs = 0, start = null } = kept;
  return {
    healthyMs,
    usedMs,
    migratingMs,
    start,
    progress: null,
    unprovenMs: null,
    stillMs: 0,
    silentMs: 0,
    regressed: [],
    regressedMs: 0,
    cutOffMs: 0,
    awayMs: 0,
    wasHealthy: healthyMs > 0,
  };
}

/** One start of the version on trial, by what names it in the record. */
export function startName(nonce: string): string {
  return sha256(nonce).slice(0, 16);
}

/** Time that counts against the deadline: a migration that has one of its own does not. */
export function deadlineUsedMs(
  { usedMs, migratingMs }: Pick<Trial, 'usedMs' | 'migratingMs'>,
  migrationMs: number | null,
): number {
  return migrationMs === null ? usedMs : usedMs - migratingMs;
}
