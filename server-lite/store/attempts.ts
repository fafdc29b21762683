import type { Db } from './database.ts';

/**
 * How an attempt ended. `proven`: the appliance runs the release, committed and healthy. `failed`: it could not, and
 * that counts against the release. `undecided`: a person went back, or the power kept failing. null: it has not ended.
 */
export const attemptOutcomes = ['proven', 'failed', 'undecided'] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

/** One appliance's try of one release, beginning with the first answer that offered it. */
export interface Attempt {
  readonly serial: number;
  /** null: an operator assigned the release to this appliance. */
  readonly rollout: number | null;
  readonly appliance: string;
  readonly outcome: AttemptOutcome | null;
}

/** What the attempts of one appliance show about one rollout: the newest proof or failure. */
export interface Standing {
  readonly appliance: string;
  readonly outcome: 'proven' | 'failed';
  readonly reason: string;
  readonly atMs: number;
}

export interface Outcome {
  readonly outcome: AttemptOutcome;
  readonly reason: string;
}

/** A release as offered to one appliance, by a rollout or by an assignment. */
export interface Try {
  readonly rollout: number | null;
  readonly appliance: string;
  readonly manifest: string;
}

export interface Attempts {
  /** Notes that an answer offered it; as long as an attempt is open, further offers belong to it. */
  offer(one: Try, nowMs: number): void;
  /** Remembers in memory an offer that could not be written. */
  holdOffer(one: Try): void;
  /** The offer that is held in memory; undefined: none. */
  heldOffer(appliance: string, manifest: string): Try | undefined;
  /** The appliance's updater has begun with the offered release. */
  start(appliance: string, nowMs: number): void;
  /** The newest attempt of this appliance at this release, by any rollout or assignment. */
  latest(appliance: string, manifest: string): Attempt | undefined;
  /** Ends an attempt. A proven one can still fail, once; the time of its proof stays on record. */
  end(serial: number, outcome: Outcome, nowMs: number): void;
  /** Adds an attempt without a noted offer: from before offers were noted, or of a release that simply runs. */
  add(one: Try, outcome: Outcome, nowMs: number): void;
  /** The newest proof or failure; undefined: there is none. */
  standing(rollout: number, appliance: string): Standing | undefined;
  standings(rollout: number): Standing[];
  /** On how many appliances a release failed, in any of its rollouts. @param release its serial */
  failedOn(release: number): number;
  /** When its open attempt was offered or begun; null: none is open. */
  openSinceMs(appliance: string): number | null;
}

/** Offers in memory, while the disk is full. */
const heldMax = 10_000;
/** Attempts of one appliance in one rollout that are kept: the first one, and the newest others. */
const keptMax = 16;

export function attemptsOf(db: Db): Attempts {
  const ofTry = 'rollout IS @rollout AND appliance = @appliance';
  const openSince = db.prepare<[string], { at: number | null }>(
    `SELECT max(coalesce(started_at, offered_at)) AS at FROM attempts WHERE appliance = ? AND outcome IS NULL`,
  );
  const newestOfRelease = db.prepare<Omit<Try, 'rollout'> & { rollout: number | null }, Attempt>(
    `SELECT serial, rollout, appliance, outcome FROM attempts WHERE ${ofTry}
       AND release = (SELECT serial FROM releases WHERE manifest = @manifest) ORDER BY serial DESC LIMIT 1`,
  );
  const latest = db.prepare<[string, string], Attempt>(
    `SELECT serial, rollout, appliance, outcome FROM attempts
     WHERE appliance = ? AND release = (SELECT serial FROM releases WHERE manifest = ?)
     ORDER BY outcome IS NULL DESC, serial DESC LIMIT 1`,
  );
  const add = db.prepare(
    `INSERT INTO attempts (rollout, appliance, release, offered_at, outcome, reason, at, proven_at)
     SELECT @rollout, @appliance, serial, @nowMs, @outcome, @reason, iif(@outcome IS NULL, NULL, @nowMs),
       iif(@outcome = 'proven', @nowMs, NULL) FROM releases WHERE manifest = @manifest`,
  );
  const prune = db.prepare<Pick<Try, 'rollout' | 'appliance'> & { kept: number }>(
    `DELETE FROM attempts WHERE ${ofTry}
       AND serial > (SELECT min(serial) FROM attempts WHERE ${ofTry})
       AND serial <= (SELECT serial FROM attempts WHERE ${ofTry} ORDER BY serial DESC LIMIT 1 OFFSET @kept)`,
  );
  const start = db.prepare<[number, string]>(
    'UPDATE attempts SET started_at = ? WHERE appliance = ? AND outcome IS NULL AND started_at IS NULL',
  );
  const end = db.prepare(
    `UPDATE attempts SET outcome = @outcome, reason = @reason, at = @nowMs,
       proven_at = iif(@outcome = 'proven', @nowMs, proven_at) WHERE serial = @serial`,
  );
  const insert = (one: Try, outcome: Outcome | null, nowMs: number): void => {
    add.run({ ...one, outcome: outcome?.outcome ?? null, reason: outcome?.reason ?? '', nowMs });
    prune.run({ rollout: one.rollout, appliance: one.appliance, kept: keptMax - 1 });
  };
  const held = new Map<string, Try>();
  const keyOf = (appliance: string, manifest: string): string => `${appliance} ${manifest}`;
  return {
    offer: (one, nowMs) => {
      const before = newestOfRelease.get(one);
      if (before === undefined || before.outcome !== null) insert(one, null, nowMs);
      held.delete(keyOf(one.appliance, one.manifest));
    },
    holdOffer: (one) => {
      if (held.size < heldMax) held.set(keyOf(one.appliance, one.manifest), one);
    },
    heldOffer: (appliance, manifest) => held.get(keyOf(appliance, manifest)),
    start: (appliance, nowMs) => {
      start.run(nowMs, appliance);
    },
    latest: (appliance, manifest) => latest.get(appliance, manifest),
    end: (serial, outcome, nowMs) => {
      end.run({ serial, ...outcome, nowMs });
    },
    add: (one, outcome, nowMs) => insert(one, outcome, nowMs),
    ...resultsIn(db),
    openSinceMs: (appliance) => openSince.get(appliance)?.at ?? null,
  };
}

/** What came of the attempts. */
function resultsIn(db: Db): Pick<Attempts, 'standing' | 'standings' | 'failedOn'> {
  const decided = "outcome IN ('proven', 'failed')";
  const standing = db.prepare<[number, string], Standing>(
    `SELECT appliance, outcome, reason, at AS atMs FROM attempts WHERE rollout = ? AND appliance = ? AND ${decided}
     ORDER BY serial DESC LIMIT 1`,
  );
  // The columns beside max() come from the row of the maximum (SQLite, "bare columns in an aggregate query").
  const standings = db.prepare<[number], Standing & { readonly newest: number }>(
    `SELECT max(serial) AS newest, appliance, outcome, reason, at AS atMs FROM attempts
     WHERE rollout = ? AND ${decided} GROUP BY appliance`,
  );
  const failedOn = db.prepare<[number], { appliances: number }>(
    `SELECT count(DISTINCT attempts.appliance) AS appliances FROM rollouts
     JOIN attempts ON attempts.rollout = rollouts.id WHERE rollouts.release = ? AND attempts.outcome = 'failed'`,
  );
  return {
    standing: (rollout, appliance) => standing.get(rollout, appliance),
    standings: (rollout) => standings.all(rollout),
    failedOn: (release) => failedOn.get(release)?.appliances ?? 0,
  };
}
