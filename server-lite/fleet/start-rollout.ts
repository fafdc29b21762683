import type { Component } from '../../protocol/component.ts';
import { sha256 } from '../../protocol/digest.ts';
import { type Core, factsOf, fleetOf } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { ReleaseRow } from '../store/releases.ts';
import type { Rollout } from '../store/rollouts.ts';
import { isAssignedElsewhere, isFresh } from './decide.ts';

export interface NewRollout {
  readonly component: Component;
  readonly version: string;
  /** Ids; empty: one appliance is chosen. */
  readonly canaries: readonly string[];
}

/** Starts a rollout: to the named canaries, or to one appliance, and from there to everyone. */
export function startRollout(core: Core, asked: NewRollout): Rollout {
  const release = requirePublished(core, asked);
  const canaries = asked.canaries.length > 0 ? asked.canaries : chooseCanary(core, asked);
  return requireRollout(core, core.rollouts.add(release.serial, canaries, core.nowMs()));
}

/** A release that may be handed out. @throws Refusal `release-unknown`, `release-withdrawn` */
export function requirePublished(core: Core, asked: { component: string; version: string }): ReleaseRow {
  const release = core.releases.find(asked.component, asked.version);
  const which = `${asked.component} ${asked.version}`;
  if (release === undefined) {
    throw new Refusal('release-unknown', `${which} is not published`, 'holdfast release publish FILE');
  }
  if (release.withdrawn_at !== null)
    throw new Refusal('release-withdrawn', `${which} was withdrawn`, 'choose a newer one');
  return release;
}

/**
 * One appliance, the same for the same fleet, however small it is (S19): the first by the digest of its id among those
 * whose updater checks in and which may get it; when there is none, among all.
 */
function chooseCanary(core: Core, release: Pick<NewRollout, 'component' | 'version'>): string[] {
  const fleet = fleetOf(core);
  const rows = core.appliances.list().filter((row) => row.retired_at === null);
  if (rows.length === 0)
    throw new Refusal('fleet-empty', 'no appliance is enrolled', 'enrol one: holdfast claim create');
  const there = rows.filter(
    (row) =>
      isFresh(factsOf(core, row).presence.updater, fleet, core.nowMs()) && !isAssignedElsewhere(row.id, release, fleet),
  );
  const ids = (there.length > 0 ? there : rows).map(({ id }) => id);
  return ids.sort((a, b) => (sha256(a) < sha256(b) ? -1 : 1)).slice(0, 1);
}

export function requireRollout(core: Core, id: number): Rollout {
  const rollout = core.rollouts.find(id);
  if (rollout === undefined) throw new Refusal('rollout-unknown', `there is no rollout ${id}`, 'holdfast rollout list');
  return rollout;
}
