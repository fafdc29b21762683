import { z } from 'zod';
import type { Component } from '../../protocol/component.ts';
import { type RolloutState, rolloutStates } from '../rules/rollout-life.ts';
import { rolloutTexts } from '../texts.ts';
import type { Db } from './database.ts';
import { readStored } from './stored-json.ts';

/** A release on its way to the fleet: first to its canaries, then to everyone. */
export interface Rollout {
  readonly id: number;
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly withdrawn: boolean;
  /** Ids of the appliances of the first stage; at least one. */
  readonly canaries: readonly string[];
  readonly state: RolloutState;
  /** Why it is in this state; empty while it runs. */
  readonly reason: string;
  readonly startedAtMs: number;
  readonly changedAtMs: number;
  /** When the stage "everyone" first opened; null: it never did. */
  readonly openedAtMs: number | null;
  /** Whether all its offers are on record: not if it began before offers were, nor after a restore. */
  readonly offersKnown: boolean;
}

export interface RolloutChange {
  readonly atMs: number;
  readonly state: RolloutState;
  readonly reason: string;
}

interface RolloutRow {
  readonly id: number;
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly withdrawn_at: number | null;
  readonly canaries: string;
  readonly state: string;
  readonly reason: string;
  readonly started_at: number;
  readonly changed_at: number;
  readonly opened_at: number | null;
  readonly offers_known: number;
}

const canariesShape = z.array(z.string());
/**
 * Ended rollouts of a component that a check-in looks at: an appliance that lost its version gets it again from these.
 * The newest finished one is always among them, however many have ended since: latecomers get it.
 */
const endedLookedAtMax = 16;
/** Changes of one rollout that are kept: the first one, and the newest others. */
const changesMax = 50;

export interface Rollouts {
  /** Newest first. */
  list(): Rollout[];
  /** Rollouts that may still offer something to an appliance, newest first. */
  offered(): Rollout[];
  /** Rollouts of one release that nobody cancelled, newest first, however old. */
  ofRelease(manifest: string): Rollout[];
  find(id: number): Rollout | undefined;
  add(release: number, canaries: readonly string[], nowMs: number): number;
  /** Changes state and reason; the previous ones stay in the history. */
  change(id: number, state: RolloutState, reason: string, nowMs: number): void;
  /** Adds to the history only. */
  note(id: number, state: RolloutState, reason: string, nowMs: number): void;
  /** Replaces the reason of the present state. */
  explain(id: number, reason: string): void;
  /** Oldest first. */
  history(id: number): RolloutChange[];
  open(id: number, nowMs: number): void;
  /** After a restore: offers since the backup are not on record. */
  forgetOffers(): void;
}

function isState(word: string): word is RolloutState {
  return rolloutStates.some((state) => state === word);
}

function rolloutOf(row: RolloutRow): Rollout {
  const canaries = readStored(canariesShape, row.canaries);
  const stored = {
    id: row.id,
    component: row.component,
    version: row.version,
    manifest: row.manifest,
    withdrawn: row.withdrawn_at !== null,
    startedAtMs: row.started_at,
    changedAtMs: row.changed_at,
    openedAtMs: row.opened_at,
    offersKnown: row.offers_known !== 0,
  };
  const first = canaries.outcome === 'read' ? canaries.value : [];
  // Without its first stage, or in an unknown state, it must reach nobody.
  const damaged = !isState(row.state)
    ? rolloutTexts.state
    : canaries.outcome !== 'read'
      ? rolloutTexts.canaryList
      : null;
  const goesOn = !isState(row.state) || row.state === 'running' || row.state === 'paused';
  if (damaged !== null && goesOn) {
    return { ...stored, canaries: [], state: 'paused', reason: rolloutTexts.damaged(damaged) };
  }
  return { ...stored, canaries: first, state: isState(row.state) ? row.state : 'paused', reason: row.reason };
}

/** A finished rollout of a withdrawn release stays in the list until its end is noted. */
const isOffered = `o.id IN (SELECT id FROM rollouts WHERE state IN ('running', 'paused'))
  OR o.id IN (SELECT e.id FROM rollouts e JOIN releases r ON r.serial = e.release
    WHERE e.state = 'finished' AND r.withdrawn_at IS NOT NULL)
  OR o.id IN (SELECT max(e.id) FROM rollouts e JOIN releases r ON r.serial = e.release
    WHERE e.state = 'finished' AND r.withdrawn_at IS NULL GROUP BY r.component)
  OR o.id IN (SELECT id FROM (SELECT e.id, row_number() OVER (PARTITION BY r.component ORDER BY e.id DESC) AS nth
    FROM rollouts e JOIN releases r ON r.serial = e.release
    WHERE e.state NOT IN ('running', 'paused', 'cancelled')) WHERE nth <= ${endedLookedAtMax})`;

export function rolloutsOf(db: Db): Rollouts {
  const columns = `SELECT o.id, r.component, r.version, r.manifest, r.withdrawn_at, o.canaries, o.state, o.reason,
    o.started_at, o.changed_at, o.opened_at, o.offers_known FROM rollouts o JOIN releases r ON r.serial = o.release`;
  const list = db.prepare<[], RolloutRow>(`${columns} ORDER BY o.id DESC`);
  const find = db.prepare<[number], RolloutRow>(`${columns} WHERE o.id = ?`);
  const offered = db.prepare<[], RolloutRow>(`${columns} WHERE ${isOffered} ORDER BY o.id DESC`);
  const ofRelease = db.prepare<[string], RolloutRow>(
    `${columns} WHERE o.release = (SELECT serial FROM releases WHERE manifest = ?)
       AND o.state <> 'cancelled' ORDER BY o.id DESC`,
  );
  const explain = db.prepare<[string, number]>('UPDATE rollouts SET reason = ? WHERE id = ?');
  const add = db.prepare<[number, string, number, number]>(
    "INSERT INTO rollouts (release, canaries, state, started_at, changed_at) VALUES (?, ?, 'running', ?, ?)",
  );
  const change = db.prepare<[string, string, number, number]>(
    'UPDATE rollouts SET state = ?, reason = ?, changed_at = ? WHERE id = ?',
  );
  const note = db.prepare<[number, string, string, number]>(
    'INSERT INTO rollout_changes (rollout, state, reason, at) VALUES (?, ?, ?, ?)',
  );
  const prune = db.prepare<{ rollout: number }>(
    `DELETE FROM rollout_changes WHERE rollout = @rollout
       AND serial > (SELECT min(serial) FROM rollout_changes WHERE rollout = @rollout)
       AND serial <= (SELECT serial FROM rollout_changes WHERE rollout = @rollout
         ORDER BY serial DESC LIMIT 1 OFFSET ${changesMax - 1})`,
  );
  const history = db.prepare<[number], { at: number; state: string; reason: string }>(
    'SELECT at, state, reason FROM rollout_changes WHERE rollout = ? ORDER BY serial',
  );
  const open = db.prepare<[number, number]>('UPDATE rollouts SET opened_at = ? WHERE id = ? AND opened_at IS NULL');
  const remember = (id: number, state: RolloutState, reason: string, nowMs: number): void => {
    note.run(id, state, reason, nowMs);
    prune.run({ rollout: id });
  };
  return {
    list: () => list.all().map(rolloutOf),
    offered: () => offered.all().map(rolloutOf),
    ofRelease: (manifest) => ofRelease.all(manifest).map(rolloutOf),
    find: (id) => {
      const row = find.get(id);
      return row === undefined ? undefined : rolloutOf(row);
    },
    add: (release, canaries, nowMs) => Number(add.run(release, JSON.stringify(canaries), nowMs, nowMs).lastInsertRowid),
    change: db.transaction((id: number, state: RolloutState, reason: string, nowMs: number) => {
      change.run(state, reason, nowMs, id);
      remember(id, state, reason, nowMs);
    }),
    note: remember,
    explain: (id, reason) => {
      explain.run(reason, id);
    },
    history: (id) =>
      history.all(id).flatMap(({ at, state, reason }) => (isState(state) ? [{ atMs: at, state, reason }] : [])),
    open: (id, nowMs) => {
      open.run(nowMs, id);
    },
    forgetOffers: () => {
      db.prepare('UPDATE rollouts SET offers_known = 0').run();
    },
  };
}
