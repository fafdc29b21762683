import { compareVersions } from '../../protocol/version.ts';
import type { Rollout } from '../store/rollouts.ts';
import { rolloutTexts } from '../texts.ts';
import { type ApplianceFacts, type Fleet, installedOf, isAssignedElsewhere } from './fleet.ts';
import { isSettledRow } from './presence.ts';

/** Check-ins of a new version that are needed before it counts as proven. */
const checkInsToPass = 2;

type Wanted = Pick<Rollout, 'component' | 'version' | 'manifest'>;

/** It has this very release, not only its number. */
function hasRelease({ presence }: ApplianceFacts, { component, version, manifest }: Wanted): boolean {
  const have = presence.updater?.have[component];
  return have !== undefined && have.version === version && (have.manifest ?? manifest) === manifest;
}

/** It has a newer release, so this one will never run there. */
export function hasNewer({ presence }: ApplianceFacts, { component, version }: Wanted): boolean {
  const have = installedOf(presence, component);
  return have !== undefined && compareVersions(have.version, version) > 0;
}

/** Between two crashes an agent works: only the updater knows that it crashes again and again. */
function isInTrouble(updater: ApplianceFacts['presence']['updater']): boolean {
  return updater?.verdict === 'blocked' || updater?.verdict === 'safe';
}

/** Healthy, by the last word of both programs; unknown is not healthy. */
function isWell({ presence: { updater, agent } }: ApplianceFacts): boolean {
  if (isInTrouble(updater)) return false;
  // An agent reports `warn` when it works in spite of something.
  const agentWorks = agent?.status === 'ok' || agent?.status === 'warn';
  return updater?.status === 'ok' && updater.agentAlive !== false && agentWorks;
}

/** The agent's last word is about the installed version, not the previous one. */
function isOfThisAgent({ presence: { updater, agent } }: ApplianceFacts): boolean {
  const said = agent?.have.app?.version;
  return said === undefined || said === updater?.have.app?.version;
}

/** Proof: committed, healthy, and checked in again since. Once proven, it stays on record. */
export function isProving(facts: ApplianceFacts, rollout: Wanted): boolean {
  const { updater } = facts.presence;
  if (updater === null || !hasRelease(facts, rollout) || !isSettledRow(updater.row)) return false;
  // It is going back from this release.
  if (facts.presence.quarantine.includes(rollout.manifest)) return false;
  return isWell(facts) && isOfThisAgent(facts) && updater.settled >= checkInsToPass;
}

/** It has the release for good, and is not well on it. */
function isLame(facts: ApplianceFacts, rollout: Wanted): boolean {
  const { updater } = facts.presence;
  return updater !== null && isSettledRow(updater.row) && hasRelease(facts, rollout) && !isWell(facts);
}

export type StageView =
  | { readonly open: true }
  /**
   * The first stage is not through: `reason` says which canary it waits for, and what to do if waiting does not help.
   */
  | { readonly open: false; readonly reason: string };

/** How a canary stands to its rollout. Only the first four can change without a person, or hold the rollout. */
type CanaryWord = 'proven' | 'failed' | 'unwell' | 'awaited' | 'off' | 'assigned' | 'newer' | 'gone';

interface Canary {
  readonly name: string;
  readonly word: CanaryWord;
}

function wordOf(id: string, rollout: Rollout, fleet: Fleet): CanaryWord {
  const facts = fleet.appliance(id);
  const standing = fleet.standing(rollout.id, id)?.outcome;
  const isThere = facts !== undefined && !facts.isRetired;
  if (standing === 'proven') {
    // Proof stays, whatever the canary does next; but one that runs it now and is unwell holds the rollout.
    return isThere && !fleet.isSilent(id) && isLame(facts, rollout) ? 'unwell' : 'proven';
  }
  if (!isThere) return 'gone';
  if (standing === 'failed') return 'failed';
  if (isAssignedElsewhere(id, rollout, fleet)) return 'assigned';
  if (hasNewer(facts, rollout)) return 'newer';
  if (!fleet.isSilent(id) && isInTrouble(facts.presence.updater) && isLame(facts, rollout)) return 'unwell';
  return fleet.isSilent(id) ? 'off' : 'awaited';
}

/**
 * Is the stage "everyone" open? It needs a canary that has proven the release (S19). A canary that failed it, is unwell
 * or is still expected to prove it holds the stage; one that is off, gone or has something else does not matter.
 */
export function everyoneStage(rollout: Rollout, fleet: Fleet): StageView {
  if (rollout.state === 'finished') return { open: true };
  const canaries = rollout.canaries.map((id) => {
    return { name: fleet.appliance(id)?.name ?? id, word: wordOf(id, rollout, fleet) };
  });
  const held = (['failed', 'awaited', 'unwell'] as const).find((word) => canaries.some((one) => one.word === word));
  if (held === undefined && canaries.some(({ word }) => word === 'proven')) return { open: true };
  const blocking = held ?? (['off', 'assigned', 'newer', 'gone'] as const).find((word) => has(canaries, word));
  return { open: false, reason: `${rollout.component} ${rollout.version} ${waitText(blocking, canaries, rollout)}` };
}

function has(canaries: readonly Canary[], word: CanaryWord): boolean {
  return canaries.some((one) => one.word === word);
}

function waitText(
  word: Exclude<CanaryWord, 'proven'> | undefined,
  canaries: readonly Canary[],
  { component, version }: Rollout,
): string {
  const of = canaries.filter((one) => one.word === word).map(({ name }) => name);
  const names = of.join(', ');
  const flag = component === 'app' ? '' : ` --component ${component}`;
  const other = rolloutTexts.startNext(version, flag);
  switch (word) {
    case 'awaited':
      return rolloutTexts.waitsForProof(names);
    case 'off':
      return rolloutTexts.waitsForUpdater(names);
    case 'unwell':
      return rolloutTexts.waitsForHealth(names);
    case 'failed':
      return rolloutTexts.waitsAfterFailure(names, other);
    case 'assigned':
      return rolloutTexts.waitsForAssigned(names, of[0], other);
    case 'newer':
      return rolloutTexts.waitsForNewer(names, other);
    case 'gone':
      // Its name already says that it is retired.
      return rolloutTexts.waitsForGone(names, other);
    case undefined:
      return rolloutTexts.waitsForCanary(other);
    default:
      return word satisfies never;
  }
}
