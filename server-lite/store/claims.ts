import type { Db } from './database.ts';

export interface ClaimRow {
  readonly id: number;
  readonly name: string;
  readonly site: string;
  readonly root_version: number;
  readonly expires_at: number;
  readonly used_by: string | null;
}

export interface Claims {
  /** Adds a claim; an unused one of the same name is replaced, so that a lost code can be made again. */
  add(claim: Omit<ClaimRow, 'id' | 'used_by'> & { readonly secret_hash: string; readonly created_at: number }): void;
  findBySecretHash(hash: string): ClaimRow | undefined;
  use(id: number, appliance: string): void;
}

export function claimsOf(db: Db): Claims {
  const drop = db.prepare<[string]>('DELETE FROM claims WHERE name = ? AND used_by IS NULL');
  const add = db.prepare(
    `INSERT INTO claims (secret_hash, name, site, root_version, created_at, expires_at)
     VALUES (@secret_hash, @name, @site, @root_version, @created_at, @expires_at)`,
  );
  const find = db.prepare<[string], ClaimRow>('SELECT * FROM claims WHERE secret_hash = ?');
  const use = db.prepare<[string, number]>('UPDATE claims SET used_by = ? WHERE id = ?');
  return {
    add: db.transaction((claim: Parameters<Claims['add']>[0]) => {
      drop.run(claim.name);
      add.run(claim);
    }),
    findBySecretHash: (hash) => find.get(hash),
    use: (id, appliance) => {
      use.run(appliance, id);
    },
  };
}
