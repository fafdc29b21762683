import { z } from 'zod';
import type { Component } from '../../protocol/component.ts';
import type { Db } from './database.ts';

/** A release on its way to the fleet: first to its canaries, then to everyone. */
export interface Rollout {
  readonly id: number;
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly withdrawn: boolean;
  /** Ids of the appliances of the first stage; at least one. */
  readonly canaries: readonly string[];
  readonly state: 'running' | 'paused';
  /** Why it is paused; empty while it runs. */
  readonly reason: string;
  readonly startedAtMs: number;
}

interface RolloutRow {
  readonly id: number;
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly withdrawn_at: number | null;
  readonly canaries: string;
  readonly state: Rollout['state'];
  readonly reason: string;
  readonly started_at: number;
}

const canariesShape = z.array(z.string());

export interface Rollouts {
  /** Newest first. */
  list(): Rollout[];
  find(id: number): Rollout | undefined;
  add(release: number, canaries: readonly string[], nowMs: number): number;
  setState(id: number, state: Rollout['state'], reason: string, nowMs: number): void;
}

export function rolloutsOf(db: Db): Rollouts {
  const columns = `SELECT o.id, r.component, r.version, r.manifest, r.withdrawn_at, o.canaries, o.state, o.reason,
    o.started_at FROM rollouts o JOIN releases r ON r.serial = o.release`;
  const list = db.prepare<[], RolloutRow>(`${columns} ORDER BY o.id DESC`);
  const find = db.prepare<[number], RolloutRow>(`${columns} WHERE o.id = ?`);
  const add = db.prepare<[number, string, number, number]>(
    "INSERT INTO rollouts (release, canaries, state, started_at, changed_at) VALUES (?, ?, 'running', ?, ?)",
  );
  const setState = db.prepare<[string, string, number, number]>(
    'UPDATE rollouts SET state = ?, reason = ?, changed_at = ? WHERE id = ?',
  );
  const rolloutOf = (row: RolloutRow): Rollout => ({
    id: row.id,
    component: row.component,
    version: row.version,
    manifest: row.manifest,
    withdrawn: row.withdrawn_at !== null,
    canaries: canariesShape.parse(JSON.parse(row.canaries)),
    state: row.state,
    reason: row.reason,
    startedAtMs: row.started_at,
  });
  return {
    list: () => list.all().map(rolloutOf),
    find: (id) => {
      const row = find.get(id);
      return row === undefined ? undefined : rolloutOf(row);
    },
    add: (release, canaries, nowMs) => Number(add.run(release, JSON.stringify(canaries), nowMs, nowMs).lastInsertRowid),
    setState: (id, state, reason, nowMs) => {
      setState.run(state, reason, nowMs, id);
    },
  };
}
