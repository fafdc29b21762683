import type { ReleaseName } from '../../protocol/check-in.ts';
import { type Component, components } from '../../protocol/component.ts';
import { compareVersions } from '../../protocol/version.ts';
import type { Assigned } from '../store/assignments.ts';
import type { Rollout } from '../store/rollouts.ts';
import { isSettledRow, type Presence } from './presence.ts';
import { ageText, clip, withoutFullStop } from './words.ts';

/** As the wire carries them (protocol: desired.reasons). */
const reasonsMax = 8;
const reasonCharactersMax = 200;
/** Check-ins of a new version that must have come before its stage counts as passed. */
const checkInsToPass = 2;

export interface ApplianceFacts {
  readonly id: string;
  readonly name: string;
  readonly presence: Presence;
}

export interface Fleet {
  readonly appliance: (id: string) => ApplianceFacts | undefined;
  /** Newest first. */
  readonly rollouts: readonly Rollout[];
  /** What an operator chose for one appliance; it goes before the rollouts of its component. */
  readonly assigned: (id: string) => readonly Assigned[];
  /** A program whose last check-in is older than this does not count as there. */
  readonly silentAfterMs: number;
}

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
      /** The version that is ready for it and can not be handed over. */
      readonly waiting: string | null;
    };

export function isFresh(last: { readonly atMs: number } | null, fleet: Fleet, nowMs: number): boolean {
  return last !== null && nowMs - last.atMs <= fleet.silentAfterMs;
}

/** What an appliance has of a component: its updater knows; before that has said anything, its agent. */
export function installedOf(
  presence: Presence,
  component: Component,
): { version: string; manifest?: string | undefined } | undefined {
  return presence.updater?.have[component] ?? presence.agent?.have[component];
}

/** Committed, healthy, and checked in again since: what an appliance _is_, not what it said it would do. */
export function hasProven(facts: ApplianceFacts, rollout: Rollout): boolean {
  const { updater, agent } = facts.presence;
  const version = updater?.have[rollout.component]?.version;
  if (updater === null || version === undefined || compareVersions(version, rollout.version) < 0) return false;
  // What is not known is not healthy (an agent says `warn` of itself where it works on).
  const agentWorks = agent?.status === 'ok' || agent?.status === 'warn';
  const healthy = updater.status === 'ok' && updater.agentAlive !== false && agentWorks;
  return healthy && isSettledRow(updater.row) && updater.settled >= checkInsToPass;
}

export type StageView =
  | { readonly open: true }
  /** The first stage is not through: `reason` says who it waits for. */
  | { readonly open: false; readonly reason: string };

/** Is the stage "everyone" open? Canaries that are off do not hold it up, but at least one must have proven it (S19). */
export function everyoneStage(rollout: Rollout, fleet: Fleet, nowMs: number): StageView {
  const canaries = rollout.canaries
    .filter((id) => !isAssignedElsewhere(id, rollout, fleet))
    .flatMap((id) => fleet.appliance(id) ?? []);
  const outstanding = canaries.filter((canary) => !hasProven(canary, rollout));
  const awaited = outstanding.filter((canary) => isFresh(canary.presence.updater, fleet, nowMs));
  if (outstanding.length < canaries.length && awaited.length === 0) return { open: true };
  const names = (awaited.length > 0 ? awaited : outstanding).map(({ name }) => name).join(', ');
  const off = awaited.length === 0 ? ', whose updater does not check in' : '';
  const which = `${rollout.component} ${rollout.version}`;
  return { open: false, reason: `${which} waits until its canary ${names || '(none is left)'} has proven it${off}` };
}

type Found =
  | {
      readonly kind: 'offer';
      readonly release: ReleaseName;
      readonly rollout: number | null;
      readonly reasons: readonly string[];
    }
  | { readonly kind: 'hold'; readonly reasons: readonly string[] };

/** Another release of the component was chosen for this appliance, so that a rollout does not wait for it. */
export function isAssignedElsewhere(
  id: string,
  release: { readonly component: string; readonly version: string },
  fleet: Fleet,
): boolean {
  return fleet
    .assigned(id)
    .some((one) => !one.withdrawn && one.component === release.component && one.version !== release.version);
}

const quarantinedText = 'in quarantine here: it was tried and did not prove itself';

/** What was assigned goes before every rollout, newer or older; one that was withdrawn since counts for nothing. */
function findAssigned(facts: ApplianceFacts, { component, version, manifest }: Assigned): Found {
  const have = installedOf(facts.presence, component)?.version;
  const which = `${component} ${version}`;
  if (have === version) return { kind: 'hold', reasons: [`it has ${which}, which is assigned to it`] };
  if (facts.presence.quarantine.includes(manifest)) {
    return { kind: 'hold', reasons: [`${which} is assigned to it, and ${quarantinedText}`] };
  }
  const older = have !== undefined && compareVersions(have, version) > 0 ? `, although it has ${have}` : '';
  const reasons = [`${which} is assigned to it${older}`];
  return { kind: 'offer', release: { component, version, manifest }, rollout: null, reasons };
}

/** What of one component this appliance may have now. */
function findRelease(facts: ApplianceFacts, component: Component, fleet: Fleet, nowMs: number): Found {
  const assigned = fleet.assigned(facts.id).find((one) => one.component === component);
  if (assigned === undefined) return findRollout(facts, component, fleet, nowMs);
  if (!assigned.withdrawn) return findAssigned(facts, assigned);
  const found = findRollout(facts, component, fleet, nowMs);
  return {
    ...found,
    reasons: [`${component} ${assigned.version} was assigned to it, and was withdrawn`, ...found.reasons],
  };
}

/** The newest running rollout of one component that this appliance may have now (S60). */
function findRollout(facts: ApplianceFacts, component: Component, fleet: Fleet, nowMs: number): Found {
  const have = installedOf(facts.presence, component);
  const reasons: string[] = [];
  for (const rollout of fleet.rollouts.filter((one) => one.component === component)) {
    const which = `${component} ${rollout.version}`;
    const precedence = have === undefined ? -1 : compareVersions(have.version, rollout.version);
    if (precedence > 0) {
      reasons.push(`it has ${component} ${have?.version}, which is newer than ${rollout.version}`);
      return { kind: 'hold', reasons };
    }
    const quarantined = facts.presence.quarantine.includes(rollout.manifest);
    if (rollout.state === 'paused')
      reasons.push(`the rollout of ${which} is paused: ${withoutFullStop(rollout.reason)}`);
    if (precedence === 0) {
      reasons.push(`it has ${which}, the version that is rolled out`);
      return { kind: 'hold', reasons };
    }
    if (quarantined) reasons.push(`${which} is ${quarantinedText}`);
    if (rollout.withdrawn) reasons.push(`${which} was withdrawn`);
    if (quarantined || rollout.withdrawn || rollout.state === 'paused') continue;
    const stage: StageView = rollout.canaries.includes(facts.id)
      ? { open: true }
      : everyoneStage(rollout, fleet, nowMs);
    if (stage.open) {
      const { version, manifest } = rollout;
      return { kind: 'offer', release: { component, version, manifest }, rollout: rollout.id, reasons };
    }
    reasons.push(stage.reason);
  }
  return { kind: 'hold', reasons };
}

/** Why nothing can be handed over to this appliance at all; null when its updater is there. */
function unreachable(facts: ApplianceFacts, fleet: Fleet, nowMs: number): string | null {
  const { agent, updater } = facts.presence;
  if (isFresh(updater, fleet, nowMs)) return null;
  if (isFresh(agent, fleet, nowMs)) {
    const since = updater === null ? 'it never did' : `not for ${ageText(nowMs - updater.atMs)}`;
    return `its updater does not check in (${since}), so nothing can be installed`;
  }
  const last = Math.max(agent?.atMs ?? 0, updater?.atMs ?? 0);
  return last === 0 ? 'it has never checked in' : `it is offline, not heard from for ${ageText(nowMs - last)}`;
}

/**
 * What an appliance should install now, or why not. Pure: the check-in, the dashboard, the command line and, through
 * the check-in's answer, the field page all print these reasons.
 */
export function decide(facts: ApplianceFacts, fleet: Fleet, nowMs: number): Decision {
  const blocked = unreachable(facts, fleet, nowMs);
  const reasons: string[] = blocked === null ? [] : [blocked];
  for (const component of components) {
    const found = findRelease(facts, component, fleet, nowMs);
    reasons.push(...found.reasons);
    if (found.kind === 'hold') continue;
    const { release, rollout } = found;
    if (blocked !== null) {
      reasons.push(`${component} ${release.version} is ready for it`);
      return { kind: 'hold', reasons: clipped(reasons), earliestMs: null, waiting: release.version };
    }
    reasons.push(`${component} ${release.version} is offered to it`);
    return { kind: 'offer', release, rollout, reasons: clipped(reasons) };
  }
  if (reasons.length === 0) reasons.push('no rollout is under way');
  return { kind: 'hold', reasons: clipped(reasons), earliestMs: null, waiting: null };
}

function clipped(reasons: readonly string[]): string[] {
  return reasons.slice(0, reasonsMax).map((reason) => clip(reason, reasonCharactersMax));
}
