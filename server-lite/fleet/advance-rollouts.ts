import { type Core, factsOf, fleetOf } from '../core.ts';
import { isInHand } from '../rules/rollout-life.ts';
import type { Standing } from '../store/attempts.ts';
import type { Rollout } from '../store/rollouts.ts';
import { rolloutTexts } from '../texts.ts';
import { type ApplianceFacts, type Fleet, isAssignedElsewhere } from './fleet.ts';
import { everyoneStage, hasNewer } from './stage.ts';

/**
 * Ends the rollouts that are through, and notes stages that opened. May run at any time; ended rollouts stay as they
 * are.
 */
export function advanceRollouts(core: Core): void {
  core.db.transaction(() => {
    for (const rollout of core.rollouts.offered()) advance(core, rollout.id);
  })();
}

/** Reads the rollout again: the end of a newer one may have ended it. */
function advance(core: Core, id: number): void {
  const rollout = core.rollouts.find(id);
  if (rollout === undefined) return;
  const nowMs = core.nowMs();
  if (rollout.withdrawn && isInHand(rollout.state)) {
    core.rollouts.change(id, 'failed', rolloutTexts.releaseWithdrawn, nowMs);
    return;
  }
  if (rollout.state !== 'running') return;
  const fleet = fleetOf(core);
  if (!everyoneStage(rollout, fleet).open) return;
  if (rollout.openedAtMs === null) core.rollouts.open(id, nowMs);
  endOlder(core, rollout, () => true);
  if (isThrough(core, rollout, fleet)) core.rollouts.change(id, 'finished', '', nowMs);
}

/** Ends the rollouts of the same release that are under way when a new one starts. */
export function endSame(core: Core, newer: Rollout): void {
  endOlder(core, newer, ({ manifest }) => manifest === newer.manifest);
}

/**
 * A newer rollout replaces those of the same release when it starts, and all others of its component when it opens for
 * everyone. One that had stopped because of a failure ends as failed.
 */
function endOlder(core: Core, newer: Rollout, takesPlaceOf: (older: Rollout) => boolean): void {
  for (const older of core.rollouts.offered()) {
    if (older.component !== newer.component || older.id >= newer.id || !takesPlaceOf(older)) continue;
    if (older.state !== 'running' && older.state !== 'paused') continue;
    const failures = core.attempts.standings(older.id).filter(({ outcome }) => outcome === 'failed');
    const failed = older.state === 'paused' && failures.length > 0;
    const by = rolloutTexts.superseded(newer.component, newer.version, newer.id);
    const reason = older.reason === '' ? by : rolloutTexts.thenAlso(older.reason, by);
    const end = failed ? failureOf(core, older, failures) : reason;
    core.rollouts.change(older.id, failed ? 'failed' : 'superseded', end, core.nowMs());
  }
}

/** What stopped it, or, where a person had stopped it for something else, where it failed. */
function failureOf(core: Core, { reason }: Rollout, failures: readonly Pick<Standing, 'appliance'>[]): string {
  const names = failures.map(({ appliance }) => core.appliances.find(appliance)?.name ?? appliance);
  return names.some((name) => reason.includes(name))
    ? reason
    : rolloutTexts.failedOn(reason, names.slice(0, 3).join(', '));
}

/** Everyone who may be there has it, cannot get it from this rollout, or has failed it. */
function isThrough(core: Core, rollout: Rollout, fleet: Fleet): boolean {
  const decided = new Set(core.attempts.standings(rollout.id).map(({ appliance }) => appliance));
  return !core.appliances
    .list()
    .some((row) => row.retired_at === null && !decided.has(row.id) && isExpected(factsOf(core, row), rollout, fleet));
}

/** An appliance that may still take it from this rollout. */
function isExpected(facts: ApplianceFacts, rollout: Rollout, fleet: Fleet): boolean {
  return !fleet.isSilent(facts.id) && !hasNewer(facts, rollout) && !isAssignedElsewhere(facts.id, rollout, fleet);
}
