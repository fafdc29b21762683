import { createHash } from 'node:crypto';
import { trialPaceS } from '../../protocol/check-in.ts';
import type { Core } from '../core.ts';
import { countedStarts, type Presence } from '../fleet/presence.ts';
import type { KeyRow } from '../store/appliances.ts';

/** The server spreads appliances over this part of the pace, by a hash of their id. */
const paceSpread = 0.2;
/** How long an update that is offered or under way shortens the pace; after that the pace is the usual one. */
const closelyForMs = 3_600_000;
/** How many check-ins of a start an updater waits for. */
const seenWanted = 2;

/** What this check-in shows about an update. */
interface Near {
  readonly presence: Presence;
  /** From the agent's request. */
  readonly start: string | undefined;
  /** The answer offers a release. */
  readonly isOffered: boolean;
}

/**
 * Seconds until the next check-in of this program. While an update is near, no pace is longer than {@link trialPaceS}:
 * the trial of a good release must not end before the server has seen it twice.
 */
export function paceOf(core: Core, { appliance, role }: KeyRow, { presence, start, isOffered }: Near): number {
  const share = createHash('sha256').update(appliance).digest().readUInt16BE(0) / 0xffff;
  const paceS = core.policy.paceS * (1 - paceSpread / 2 + share * paceSpread);
  if (paceS <= trialPaceS) return Number(paceS.toFixed(3));
  const known = countedStarts(presence).find((one) => one.start === start);
  const isNewStart = role === 'agent' && known !== undefined && known.checkIns < seenWanted;
  const isNear = isNewStart || isUnderWay(presence, core.nowMs()) || isAttempted(core, appliance, isOffered);
  return isNear ? trialPaceS : Number(paceS.toFixed(3));
}

function isUnderWay({ updater }: Presence, nowMs: number): boolean {
  const row = updater?.row ?? null;
  const isResting = row === null || row === 'idle' || row === 'safe';
  return !isResting && updater !== null && nowMs - updater.atMs <= closelyForMs;
}

function isAttempted(core: Core, appliance: string, isOffered: boolean): boolean {
  const sinceMs = core.attempts.openSinceMs(appliance);
  return sinceMs === null ? isOffered : core.nowMs() - sinceMs <= closelyForMs;
}
