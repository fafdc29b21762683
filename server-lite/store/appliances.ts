import type { Db } from './database.ts';

export type Role = 'agent' | 'updater';

export interface ApplianceRow {
  readonly id: string;
  readonly name: string;
  readonly site: string;
  readonly hardware: string | null;
  readonly enrolled_at: number;
  readonly retired_at: number | null;
  readonly presence: string | null;
}

export interface KeyRow {
  readonly key_id: string;
  readonly appliance: string;
  readonly role: Role;
  readonly public_key: string;
  readonly revoked_at: number | null;
  readonly counter_ceiling: number;
}

export interface Appliances {
  list(): ApplianceRow[];
  find(id: string): ApplianceRow | undefined;
  findByName(name: string): ApplianceRow | undefined;
  add(row: Omit<ApplianceRow, 'retired_at' | 'presence'>): void;
  rename(id: string, name: string, site: string): void;
  retire(id: string, nowMs: number): void;
  writePresence(id: string, presence: string): void;
  key(keyId: string): KeyRow | undefined;
  keysOf(id: string): KeyRow[];
  addKey(key: Omit<KeyRow, 'revoked_at' | 'counter_ceiling'> & { readonly added_at: number }): void;
  revokeKeys(id: string, role: Role, nowMs: number): number;
  writeCounterCeiling(keyId: string, ceiling: number): void;
}

/** The one table of appliances and their keys (S14). */
export function appliancesOf(db: Db): Appliances {
  const list = db.prepare<[], ApplianceRow>('SELECT * FROM appliances ORDER BY name');
  const find = db.prepare<[string], ApplianceRow>('SELECT * FROM appliances WHERE id = ?');
  const findByName = db.prepare<[string], ApplianceRow>('SELECT * FROM appliances WHERE name = ?');
  const add = db.prepare(
    'INSERT INTO appliances (id, name, site, hardware, enrolled_at) VALUES (@id, @name, @site, @hardware, @enrolled_at)',
  );
  const rename = db.prepare<[string, string, string]>('UPDATE appliances SET name = ?, site = ? WHERE id = ?');
  const retire = db.prepare<[number, string]>('UPDATE appliances SET retired_at = ? WHERE id = ?');
  const writePresence = db.prepare<[string, string]>('UPDATE appliances SET presence = ? WHERE id = ?');
  const key = db.prepare<[string], KeyRow>('SELECT * FROM keys WHERE key_id = ?');
  const keysOf = db.prepare<[string], KeyRow>('SELECT * FROM keys WHERE appliance = ?');
  const addKey = db.prepare(
    `INSERT INTO keys (key_id, appliance, role, public_key, added_at)
     VALUES (@key_id, @appliance, @role, @public_key, @added_at)`,
  );
  const revokeKeys = db.prepare<[number, string, string]>(
    'UPDATE keys SET revoked_at = ? WHERE appliance = ? AND role = ? AND revoked_at IS NULL',
  );
  const writeCeiling = db.prepare<[number, string]>('UPDATE keys SET counter_ceiling = ? WHERE key_id = ?');
  return {
    list: () => list.all(),
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
    writePresence: (id, presence) => {
      writePresence.run(presence, id);
    },
    key: (keyId) => key.get(keyId),
    keysOf: (id) => keysOf.all(id),
    addKey: (row) => {
      addKey.run(row);
    },
    revokeKeys: (id, role, nowMs) => revokeKeys.run(nowMs, id, role).changes,
    writeCounterCeiling: (keyId, ceiling) => {
      writeCeiling.run(ceiling, keyId);
    },
  };
}
