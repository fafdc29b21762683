import type { Component } from '../../protocol/component.ts';
import { sha256 } from '../../protocol/digest.ts';
import { type Core, factsOf, fleetOf } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { ReleaseRow } from '../store/releases.ts';
import type { Rollout } from '../store/rollouts.ts';
import { rolloutTexts } from '../texts.ts';
import { endSame } from './advance-rollouts.ts';
import { isAssignedElsewhere, isFresh } from './fleet.ts';
import { hasNewer } from './stage.ts';

export interface NewRollout {
  readonly component: Component;
  readonly version: string;
  /** Ids; empty: the server chooses one appliance. */
  readonly canaries: readonly string[];
}

/**
 * Starts a rollout: to the named canaries, or to one appliance, and from there to everyone.
 * @throws Refusal `release-unknown`, `release-withdrawn`, `appliance-retired`, `fleet-empty`
 */
export function startRollout(core: Core, asked: NewRollout): Rollout {
  const release = requirePublished(core, asked);
  const canaries =
    asked.canaries.length > 0
      ? requireCanaries(core, asked.canaries)
      : chooseCanary(core, { ...asked, manifest: release.manifest });
  return core.db.transaction(() => {
    const rollout = requireRollout(core, core.rollouts.add(release.serial, canaries, core.nowMs()));
    endSame(core, rollout);
    return rollout;
  })();
}

/** Without duplicates. A retired one can prove nothing, so the rollout would wait for it in vain. */
function requireCanaries(core: Core, ids: readonly string[]): string[] {
  const canaries = [...new Set(ids)];
  for (const id of canaries) {
    const row = core.appliances.find(id);
    if (row === undefined || row.retired_at === null) continue;
    throw new Refusal('appliance-retired', rolloutTexts.canaryRetired(row.name), rolloutTexts.canaryRetiredNext);
  }
  return canaries;
}

/** A release that may be handed out. @throws Refusal `release-unknown`, `release-withdrawn` */
export function requirePublished(core: Core, asked: { component: string; version: string }): ReleaseRow {
  const release = core.releases.find(asked.component, asked.version);
  const which = `${asked.component} ${asked.version}`;
  if (release === undefined) {
    throw new Refusal('release-unknown', rolloutTexts.notPublished(which), rolloutTexts.notPublishedNext);
  }
  if (release.withdrawn_at !== null)
    throw new Refusal('release-withdrawn', rolloutTexts.withdrawn(which), rolloutTexts.withdrawnNext);
  return release;
}

/**
 * Chooses one appliance, always the same for the same fleet, however small it is (S19): the first by the digest of its
 * id among those whose updater checks in and which can still prove it; if there is none, among those that check in;
 * then all.
 */
function chooseCanary(
  core: Core,
  release: Pick<NewRollout, 'component' | 'version'> & { readonly manifest: string },
): string[] {
  const fleet = fleetOf(core);
  const rows = core.appliances.list().filter((row) => row.retired_at === null);
  if (rows.length === 0) throw new Refusal('fleet-empty', rolloutTexts.noAppliance, rolloutTexts.noApplianceNext);
  const there = rows.filter(
    (row) =>
      isFresh(factsOf(core, row).presence.updater, fleet, core.nowMs()) && !isAssignedElsewhere(row.id, release, fleet),
  );
  const able = there.filter((row) => {
    const facts = factsOf(core, row);
    return !hasNewer(facts, release) && !facts.presence.quarantine.includes(release.manifest);
  });
  const ids = (able.length > 0 ? able : there.length > 0 ? there : rows).map(({ id }) => id);
  return ids.sort((a, b) => (sha256(a) < sha256(b) ? -1 : 1)).slice(0, 1);
}

export function requireRollout(core: Core, id: number): Rollout {
  const rollout = core.rollouts.find(id);
  if (rollout === undefined) throw new Refusal('rollout-unknown', rolloutTexts.unknown(id), rolloutTexts.unknownNext);
  return rollout;
}
