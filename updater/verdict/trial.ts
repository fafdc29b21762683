import { sha256 } from '../../protocol/digest.ts';
import type { CheckStatus, HealthAnswer } from '../../protocol/health.ts';

/** What must hold for the version on trial, and for how long. All times in milliseconds of the monotonic clock. */
export interface TrialRules {
  readonly version: string;
  readonly tries: number;
  readonly healthyMs: number;
  readonly deadlineMs: number;
  readonly stallMs: number;
  readonly answerMs: number;
  readonly graceMs: number;
  /** How long in all it may report that its state is not migrated; null: the other rules hold during that time, too. */
  readonly migrationMs: number | null;
  readonly baseline: Readonly<Record<string, CheckStatus>> | null;
  readonly baselineServer: CheckStatus;
}

/** What one look at the trial found. `sinceMs` is the monotonic time since the previous look. */
export interface Sample {
  readonly sinceMs: number;
  readonly alive: boolean;
  /** Is a start in progress? launch counts a try before the process exists, and that try is not over. */
  readonly starting: boolean;
  /** Starts that launch counted as tries, and power cycles. */
  readonly tries: number;
  readonly outOfBoots: boolean;
  /** It runs, and none of its starts is counted: the record of its tries is lost. */
  readonly countLost: boolean;
  /** The nonce of the newest start. */
  readonly nonce: string | null;
  readonly answer: HealthAnswer | null;
  /** How far its counter moved with consecutive answers without a pause; absent: not with each of them. */
  readonly movedByAsking?: number;
  /** Did the updater itself reach the server at its last try? null: not tried yet. */
  readonly serverReached: boolean | null;
  /** How long ago that was. */
  readonly serverTriedMs: number;
  /** Check-ins of this start of this version that the server vouches for. */
  readonly seen: number;
  /**
   * How the updater reaches the server: `plain`, as any version does; `published`, over a path that the agent can read;
   * `unpublished`, over one that it cannot read yet. Absent: plain.
   */
  readonly path?: 'plain' | 'published' | 'unpublished';
}

/** The trial so far; a pure value, so that the judge can be killed and continue. */
export interface Trial {
  readonly healthyMs: number;
  readonly usedMs: number;
  /** How long it reported that its state is not migrated, over all of its starts. */
  readonly migratingMs: number;
  /** The start that the healthy time belongs to; null: none yet. */
  readonly start: string | null;
  readonly progress: number | null;
  /**
   * Healthy time in which no work was seen yet: it counts when the work moves. null: not healthy in the previous look.
   */
  readonly unprovenMs: number | null;
  /** How long, without a break, work stood still, no answer came, a check failed, or the server was missing. */
  readonly stillMs: number;
  readonly silentMs: number;
  readonly regressed: readonly string[];
  readonly regressedMs: number;
  readonly cutOffMs: number;
  /**
   * For this long after the server's return it is not compared: an agent that found it away asks again only after such
   * a pause.
   */
  readonly awayMs: number;
  /** Can its reach be compared with the updater's? According to its last answer. */
  readonly serverCompared: boolean;
  /** Was any start of it healthy? Then a crash loop is a flap. */
  readonly wasHealthy: boolean;
}

/**
 * Healthy for long enough, it waits for the server: its check-ins that the server has seen, of those that it must see.
 */
export interface TrialWaits {
  readonly seen: number;
  readonly of: number;
}

/** The part of a trial that is on disk; the rest is observed anew. */
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
    serverCompared: true,
    wasHealthy: healthyMs > 0,
  };
}

/** The name of one start of the version on trial in the record. */
export function startName(nonce: string): string {
  return sha256(nonce).slice(0, 16);
}

/** Time that counts against the deadline: a migration with its own time does not. */
export function deadlineUsedMs(
  { usedMs, migratingMs }: Pick<Trial, 'usedMs' | 'migratingMs'>,
  migrationMs: number | null,
): number {
  return migrationMs === null ? usedMs : usedMs - migratingMs;
}
