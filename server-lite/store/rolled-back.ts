import type { Db } from './database.ts';

/** Releases of one appliance of which it is known, the newest: its updater may name as many as it likes. */
const keptMax = 32;

/** Why each appliance left a release, by its updater's word: kept at write, because every look at the fleet asks for it. */
export interface RolledBack {
  /** The newest report about a release replaces the previous one. */
  note(appliance: string, manifest: string, reason: string | null, nowMs: number): void;
  /** null: nothing is on record, or no reason. */
  reasonOf(appliance: string, manifest: string): string | null;
}

export function rolledBackOf(db: Db): RolledBack {
  const add = db.prepare(
    `INSERT INTO rolled_back (appliance, manifest, reason, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (appliance, manifest) DO UPDATE SET reason = excluded.reason, at = excluded.at`,
  );
  const prune = db.prepare(
    `DELETE FROM rolled_back WHERE appliance = @appliance AND manifest IN
     (SELECT manifest FROM rolled_back WHERE appliance = @appliance ORDER BY at DESC, manifest LIMIT -1 OFFSET ${keptMax})`,
  );
  const find = db.prepare<[string, string], { reason: string | null }>(
    'SELECT reason FROM rolled_back WHERE appliance = ? AND manifest = ?',
  );
  return {
    note: (appliance, manifest, reason, nowMs) => {
      add.run(appliance, manifest, reason, nowMs);
      prune.run({ appliance });
    },
    reasonOf: (appliance, manifest) => find.get(appliance, manifest)?.reason ?? null,
  };
}
