import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import type { Db } from './database.ts';

export interface ClaimRow {
  readonly id: number;
  readonly name: string;
  readonly site: string;
  readonly root_version: number;
  readonly expires_at: number;
  readonly used_by: string | null;
  /** The only appliance that may use it; null: any unknown one, or a retired one. */
  readonly for_appliance: string | null;
  /** How many other agent keys its user has named since. */
  readonly key_changes: number;
}

export type OpenClaim = Pick<ClaimRow, 'name' | 'site' | 'expires_at' | 'for_appliance'> & {
  readonly created_at: number;
};

export interface Claims {
  /**
   * Adds a claim. It replaces an unused one of the same name, so that a lost code can be made again.
   * @returns whether the replaced one could still be used
   */
  add(
    claim: Omit<ClaimRow, 'id' | 'used_by' | 'key_changes'> & {
      readonly secret_hash: string;
      readonly created_at: number;
    },
  ): boolean;
  /** Claims that can still be used, the first to expire first. */
  open(nowMs: number): OpenClaim[];
  /** @param hash digest of a secret, or {@link markOfKey} of the key that a secret is the seed of */
  findBySecretHash(hash: string): ClaimRow | undefined;
  use(id: number, appliance: string): void;
  noteKeyChange(id: number): void;
  /** Drops the unused claims that only this appliance could use. */
  dropUnusedOf(appliance: string): void;
}

/** Stands in place of a secret's digest if only the public half of the secret's key is kept. */
export function markOfKey(publicKey: PublicKey): string {
  return `ed25519:${publicKey}`;
}

export function claimsOf(db: Db): Claims {
  const drop = db.prepare<[string], { expires_at: number }>(
    'DELETE FROM claims WHERE name = ? AND used_by IS NULL RETURNING expires_at',
  );
  const open = db.prepare<[number], OpenClaim>(
    `SELECT name, site, created_at, expires_at, for_appliance FROM claims
     WHERE used_by IS NULL AND expires_at > ? ORDER BY expires_at`,
  );
  const add = db.prepare(
    `INSERT INTO claims (secret_hash, name, site, root_version, created_at, expires_at, for_appliance)
     VALUES (@secret_hash, @name, @site, @root_version, @created_at, @expires_at, @for_appliance)`,
  );
  const find = db.prepare<[string], ClaimRow>('SELECT * FROM claims WHERE secret_hash = ?');
  const use = db.prepare<[string, number]>('UPDATE claims SET used_by = ? WHERE id = ?');
  const noteKeyChange = db.prepare<[number]>('UPDATE claims SET key_changes = key_changes + 1 WHERE id = ?');
  const dropUnusedOf = db.prepare<[string]>('DELETE FROM claims WHERE for_appliance = ? AND used_by IS NULL');
  return {
    add: db.transaction((claim: Parameters<Claims['add']>[0]) => {
      const dropped = drop.all(claim.name);
      add.run(claim);
      return dropped.some(({ expires_at }) => expires_at > claim.created_at);
    }),
    open: (nowMs) => open.all(nowMs),
    findBySecretHash: (hash) => find.get(hash),
    use: (id, appliance) => {
      use.run(appliance, id);
    },
    noteKeyChange: (id) => {
      noteKeyChange.run(id);
    },
    dropUnusedOf: (appliance) => {
      dropUnusedOf.run(appliance);
    },
  };
}
