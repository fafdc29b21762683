import type { Db } from './database.ts';

export type Role = 'agent' | 'updater';

export interface ApplianceRow {
  readonly id: string;
  readonly name: string;
  readonly site: string;
  readonly hardware: string | null;
  readonly enrolled_at: number;
  readonly retired_at: number | null;
}

/** What an appliance last reported about itself, as JSON. */
export interface StoredPresence {
  readonly id: string;
  readonly name: string;
  readonly presence: string;
}

export interface KeyRow {
  readonly key_id: string;
  readonly appliance: string;
  readonly role: Role;
  readonly public_key: string;
  readonly revoked_at: number | null;
  readonly counter_ceiling: number;
  /** Counters that were taken above the last one, separated by blanks. */
  readonly counters_ahead: string;
  /** 1: the key itself signed an enrolment; 0: another key named it. */
  readonly proven: number;
}

interface Keys {
  key(keyId: string): KeyRow | undefined;
  keysOf(id: string): KeyRow[];
  addKey(key: Omit<KeyRow, 'revoked_at' | 'counter_ceiling' | 'counters_ahead'> & { readonly added_at: number }): void;
  /**
   * Notes that the key signed an enrolment in this place itself. If it stood at another appliance, it moves here,
   * unrevoked.
   */
  proveKey(key: Pick<KeyRow, 'key_id' | 'appliance' | 'role'>): void;
  revokeKeys(id: string, role: Role, nowMs: number): number;
  writeCounterCeiling(keyId: string, ceiling: number): void;
  writeCountersAhead(keyId: string, ahead: string): void;
  /** Raises all of them by the same amount, except those that would reach `max`. */
  raiseCounterCeilings(by: number, max: number): void;
  /** Writes all of them with one sync, however many keys there are. */
  writeCounterCeilings(ceilings: readonly (readonly [keyId: string, ceiling: number])[]): void;
}

export interface Appliances extends Keys {
  list(): ApplianceRow[];
  presences(): StoredPresence[];
  find(id: string): ApplianceRow | undefined;
  findByName(name: string): ApplianceRow | undefined;
  add(row: Omit<ApplianceRow, 'retired_at'>): void;
  rename(id: string, name: string, site: string): void;
  retire(id: string, nowMs: number): void;
  /** The appliance is claimed again. */
  bringBack(id: string): void;
  writePresence(id: string, presence: string): void;
}

/** The one table of appliances and their keys (S14). */
export function appliancesOf(db: Db): Appliances {
  // The presence column is large, and is read once, at the start.
  const row = 'SELECT id, name, site, hardware, enrolled_at, retired_at FROM appliances';
  const list = db.prepare<[], ApplianceRow>(`${row} ORDER BY name`);
  const find = db.prepare<[string], ApplianceRow>(`${row} WHERE id = ?`);
  const findByName = db.prepare<[string], ApplianceRow>(`${row} WHERE name = ?`);
  const presences = db.prepare<[], StoredPresence>(
    'SELECT id, name, presence FROM appliances WHERE presence IS NOT NULL',
  );
  const add = db.prepare(
    'INSERT INTO appliances (id, name, site, hardware, enrolled_at) VALUES (@id, @name, @site, @hardware, @enrolled_at)',
  );
  const rename = db.prepare<[string, string, string]>('UPDATE appliances SET name = ?, site = ? WHERE id = ?');
  const retire = db.prepare<[number, string]>('UPDATE appliances SET retired_at = ? WHERE id = ?');
  const bringBack = db.prepare<[string]>('UPDATE appliances SET retired_at = NULL WHERE id = ?');
  const writePresence = db.prepare<[string, string]>('UPDATE appliances SET presence = ? WHERE id = ?');
  return {
    list: () => list.all(),
    presences: () => presences.all(),
    find: (id) => find.get(id),
    findByName: (name) => findByName.get(name),
    add: (row) => {
      add.run(row);
    },
    rename: (id, name, site) => {
      rename.run(name, site, id);
    },
    retire: (id, nowMs) => {
      retire.run(nowMs, id);
    },
    bringBack: (id) => {
      bringBack.run(id);
    },
    writePresence: (id, presence) => {
      writePresence.run(presence, id);
    },
    ...keysIn(db),
  };
}

function keysIn(db: Db): Keys {
  const key = db.prepare<[string], KeyRow>('SELECT * FROM keys WHERE key_id = ?');
  const keysOf = db.prepare<[string], KeyRow>('SELECT * FROM keys WHERE appliance = ?');
  const addKey = db.prepare(
    `INSERT INTO keys (key_id, appliance, role, public_key, added_at, proven)
     VALUES (@key_id, @appliance, @role, @public_key, @added_at, @proven)`,
  );
  const proveKey = db.prepare(
    `UPDATE keys SET revoked_at = CASE WHEN appliance = @appliance AND role = @role THEN revoked_at END,
     appliance = @appliance, role = @role, proven = 1 WHERE key_id = @key_id`,
  );
  const revokeKeys = db.prepare<[number, string, string]>(
    'UPDATE keys SET revoked_at = ? WHERE appliance = ? AND role = ? AND revoked_at IS NULL',
  );
  const raiseCeilings = db.prepare<[number, number, number]>(
    'UPDATE keys SET counter_ceiling = counter_ceiling + ? WHERE counter_ceiling >= 0 AND counter_ceiling + ? < ?',
  );
  const writeCeiling = db.prepare<[number, string]>('UPDATE keys SET counter_ceiling = ? WHERE key_id = ?');
  const writeAhead = db.prepare<[string, string]>('UPDATE keys SET counters_ahead = ? WHERE key_id = ?');
  return {
    key: (keyId) => key.get(keyId),
    keysOf: (id) => keysOf.all(id),
    addKey: (row) => {
      addKey.run(row);
    },
    proveKey: ({ key_id, appliance, role }) => {
      proveKey.run({ key_id, appliance, role });
    },
    revokeKeys: (id, role, nowMs) => revokeKeys.run(nowMs, id, role).changes,
    writeCounterCeiling: (keyId, ceiling) => {
      writeCeiling.run(ceiling, keyId);
    },
    writeCountersAhead: (keyId, ahead) => {
      writeAhead.run(ahead, keyId);
    },
    raiseCounterCeilings: (by, max) => {
      raiseCeilings.run(by, by, max);
    },
    writeCounterCeilings: db.transaction((ceilings: Parameters<Keys['writeCounterCeilings']>[0]) => {
      for (const [keyId, ceiling] of ceilings) writeCeiling.run(ceiling, keyId);
    }),
  };
}
