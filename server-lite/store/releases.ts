import type { Component } from '../../protocol/component.ts';
import type { Db } from './database.ts';

export interface ReleaseRow {
  readonly serial: number;
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly bundle_bytes: number;
  readonly bundle_sha256: string;
  readonly published_at: number;
  readonly withdrawn_at: number | null;
}

export interface Releases {
  list(): ReleaseRow[];
  find(component: string, version: string): ReleaseRow | undefined;
  ofManifest(manifest: string): ReleaseRow | undefined;
  add(release: Omit<ReleaseRow, 'serial' | 'withdrawn_at'>): void;
  setWithdrawn(serial: number, withdrawnAtMs: number | null): void;
}

export function releasesOf(db: Db): Releases {
  const list = db.prepare<[], ReleaseRow>('SELECT * FROM releases ORDER BY serial');
  const find = db.prepare<[string, string], ReleaseRow>('SELECT * FROM releases WHERE component = ? AND version = ?');
  const ofManifest = db.prepare<[string], ReleaseRow>('SELECT * FROM releases WHERE manifest = ?');
  const add = db.prepare(
    `INSERT INTO releases (component, version, manifest, bundle_bytes, bundle_sha256, published_at)
     VALUES (@component, @version, @manifest, @bundle_bytes, @bundle_sha256, @published_at)`,
  );
  const withdraw = db.prepare<[number | null, number]>('UPDATE releases SET withdrawn_at = ? WHERE serial = ?');
  return {
    list: () => list.all(),
    find: (component, version) => find.get(component, version),
    ofManifest: (manifest) => ofManifest.get(manifest),
    add: (release) => {
      add.run(release);
    },
    setWithdrawn: (serial, atMs) => {
      withdraw.run(atMs, serial);
    },
  };
}
