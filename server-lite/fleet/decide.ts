import type { ReleaseName } from '../../protocol/check-in.ts';
import { type Component, components } from '../../protocol/component.ts';
import { cut } from '../../protocol/text.ts';
import { compareVersions } from '../../protocol/version.ts';
import { ageText, withoutFullStop } from '../rules/words.ts';
import type { Assigned } from '../store/assignments.ts';
import type { Rollout } from '../store/rollouts.ts';
import { decisionTexts } from '../texts.ts';
import { type ApplianceFacts, type Fleet, installedOf, isFresh } from './fleet.ts';
import { everyoneStage, type StageView } from './stage.ts';

/** The bound of the wire (protocol: desired.reasons). */
const reasonsMax = 8;
const reasonCharactersMax = 200;

export type Decision =
  | {
      readonly kind: 'offer';
      readonly release: ReleaseName;
      /** null: an operator chose it for this appliance. */
      readonly rollout: number | null;
      readonly reasons: readonly string[];
    }
  | {
      readonly kind: 'hold';
      readonly reasons: readonly string[];
      /** When the answer may change by itself; null: only when something happens. */
      readonly earliestMs: number | null;
      /** A version that is ready for the appliance but cannot be handed over. */
      readonly waiting: string | null;
    };

type Found =
  | {
      readonly kind: 'offer';
      readonly release: ReleaseName;
      readonly rollout: number | null;
      readonly reasons: readonly string[];
    }
  | { readonly kind: 'hold'; readonly reasons: readonly string[] };

/** Why a release is in quarantine there; without a recorded end there is no reason. */
function quarantinedText({ id }: ApplianceFacts, manifest: string, fleet: Fleet): string {
  switch (fleet.rolledBackFor(id, manifest)) {
    case null:
      return decisionTexts.quarantined;
    case 'by-hand':
      return decisionTexts.wentBack;
    case 'inconclusive':
      return decisionTexts.notJudged;
    default:
      return decisionTexts.notProven;
  }
}

/** In safe mode no slot of the agent is whole: the appliance has lost the version that it had. */
function isLostHere({ presence }: ApplianceFacts, component: string): boolean {
  return component === 'app' && presence.updater?.row === 'safe';
}

/** An assignment takes precedence over every rollout, newer or older, unless its release was withdrawn. */
function findAssigned(facts: ApplianceFacts, { component, version, manifest }: Assigned, fleet: Fleet): Found {
  const have = installedOf(facts.presence, component)?.version;
  const which = `${component} ${version}`;
  const isLost = isLostHere(facts, component);
  if (have === version && !isLost) return { kind: 'hold', reasons: [decisionTexts.hasAssigned(which)] };
  if (facts.presence.quarantine.includes(manifest)) {
    return {
      kind: 'hold',
      reasons: [decisionTexts.assignedInQuarantine(which, quarantinedText(facts, manifest, fleet))],
    };
  }
  const older = have !== undefined && compareVersions(have, version) > 0 ? decisionTexts.althoughItHas(have) : '';
  const reasons = [decisionTexts.assigned(which, have === version ? `, ${decisionTexts.lost}` : older)];
  return { kind: 'offer', release: { component, version, manifest }, rollout: null, reasons };
}

/** Which release of one component this appliance may have now. */
function findRelease(facts: ApplianceFacts, component: Component, fleet: Fleet): Found {
  const assigned = fleet.assigned(facts.id).find((one) => one.component === component);
  if (assigned === undefined) return findRollout(facts, component, fleet);
  if (!assigned.withdrawn) return findAssigned(facts, assigned, fleet);
  const found = findRollout(facts, component, fleet);
  return {
    ...found,
    reasons: [decisionTexts.assignedWithdrawn(component, assigned.version), ...found.reasons],
  };
}

/**
 * Of the ended ones, a finished rollout is for latecomers, and a superseded one for an appliance that lost its version.
 */
function isOffered({ state }: Rollout, isLost: boolean): boolean {
  switch (state) {
    case 'running':
    case 'paused':
    case 'finished':
      return true;
    case 'superseded':
      return isLost;
    case 'failed':
    case 'cancelled':
      return false;
    default:
      return state satisfies never;
  }
}

/** The newest rollout of one component that this appliance may have now (S60). */
function findRollout(facts: ApplianceFacts, component: Component, fleet: Fleet): Found {
  const have = installedOf(facts.presence, component);
  const reasons: string[] = [];
  for (const rollout of fleet.rollouts.filter((one) => one.component === component)) {
    const which = `${component} ${rollout.version}`;
    const precedence = have === undefined ? -1 : compareVersions(have.version, rollout.version);
    const isLost = precedence === 0 && isLostHere(facts, component);
    if (!isOffered(rollout, isLost)) {
      if (rollout.withdrawn && precedence < 0) reasons.push(decisionTexts.withdrawn(which));
      continue;
    }
    if (precedence > 0) {
      reasons.push(decisionTexts.hasNewer(component, have?.version, rollout.version));
      return { kind: 'hold', reasons };
    }
    const quarantined = facts.presence.quarantine.includes(rollout.manifest);
    if (rollout.state === 'paused') reasons.push(decisionTexts.paused(which, withoutFullStop(rollout.reason)));
    if (isLost) reasons.push(decisionTexts.had(which, decisionTexts.lost));
    if (precedence === 0 && !isLost) {
      reasons.push(decisionTexts.hasIt(which));
      return { kind: 'hold', reasons };
    }
    if (quarantined) reasons.push(decisionTexts.inQuarantine(which, quarantinedText(facts, rollout.manifest, fleet)));
    if (rollout.withdrawn) reasons.push(decisionTexts.withdrawn(which));
    if (quarantined || rollout.withdrawn || rollout.state === 'paused') continue;
    const stage: StageView = rollout.canaries.includes(facts.id) ? { open: true } : everyoneStage(rollout, fleet);
    if (stage.open) {
      const { version, manifest } = rollout;
      return { kind: 'offer', release: { component, version, manifest }, rollout: rollout.id, reasons };
    }
    reasons.push(stage.reason);
  }
  return { kind: 'hold', reasons };
}

/** Why nothing can be handed over to this appliance; null when its updater checks in. */
export function unreachable(facts: ApplianceFacts, fleet: Fleet, nowMs: number): string | null {
  const { agent, updater } = facts.presence;
  if (isFresh(updater, fleet, nowMs)) return null;
  if (isFresh(agent, fleet, nowMs)) {
    const since = updater === null ? decisionTexts.neverDid : decisionTexts.notFor(ageText(nowMs - updater.atMs));
    return decisionTexts.updaterSilent(since);
  }
  const last = Math.max(agent?.atMs ?? 0, updater?.atMs ?? 0);
  return last === 0 ? decisionTexts.neverCheckedIn : decisionTexts.offline(ageText(nowMs - last));
}

/**
 * What an appliance should install now, or why not. Pure: the check-in, the dashboard, the command line and, through
 * the check-in's answer, the field page all print these reasons.
 */
export function decide(facts: ApplianceFacts, fleet: Fleet, nowMs: number): Decision {
  const blocked = unreachable(facts, fleet, nowMs);
  const reasons: string[] = blocked === null ? [] : [blocked];
  for (const component of components) {
    const found = findRelease(facts, component, fleet);
    reasons.push(...found.reasons);
    if (found.kind === 'hold') continue;
    const { release, rollout } = found;
    if (blocked !== null) {
      reasons.push(decisionTexts.ready(component, release.version));
      return { kind: 'hold', reasons: clipped(reasons), earliestMs: null, waiting: release.version };
    }
    reasons.push(decisionTexts.offered(component, release.version));
    return { kind: 'offer', release, rollout, reasons: clipped(reasons) };
  }
  if (reasons.length === 0) reasons.push(decisionTexts.noRollout);
  return { kind: 'hold', reasons: clipped(reasons), earliestMs: null, waiting: null };
}

function clipped(reasons: readonly string[]): string[] {
  return reasons.slice(0, reasonsMax).map((reason) => cut(reason, reasonCharactersMax));
}
