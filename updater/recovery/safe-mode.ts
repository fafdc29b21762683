import type { Installed, Safe, StateBody } from '../../protocol/state-record.ts';
import { RestoreError, verifyRestored } from '../agent-data/restore.ts';
import { readSnapshot } from '../agent-data/snapshot.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { wayBack } from '../choice/acceptance.ts';
import { trialOf } from '../choice/going-back.ts';
import { isBackingOff } from '../choice/refused.ts';
import type { MachineEvent } from '../machine/event.ts';
import { verifyInstalled } from '../release/verify-slot.ts';
import { tidyAgentPlaces } from '../transaction/agent-places.ts';
import { untilServes } from '../transaction/revert.ts';
import { asVerdict } from '../watch/committed-slot.ts';
import { recoveryTexts } from '../words/texts.ts';
import { factoryWords } from './factory-words.ts';

/**
 * What the updater does in safe mode without a person: it leaves it when everything is whole again, or goes back to a
 * version that is.
 */
export function leaveSafeByItself(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { safe, app } = state;
  if (safe === null || isWholeAgain(appliance, state, safe)) return { kind: 'sound' };
  if (safe.reason !== 'slot-damaged') return null;
  const way = wayBack(appliance, state);
  if (way.kind !== 'open' || state.quarantine.some(({ manifest }) => manifest === way.previous.manifest)) return null;
  const { slot, version, manifest } = way.previous;
  // After an inconclusive trial of it, requests and the server come first again.
  if (isBackingOff(appliance, manifest)) return null;
  if (!isWhole(appliance, way.previous)) return null;
  appliance.log(recoveryTexts.damagedGoesBack(app.committed.version, version));
  return { kind: 'return', trial: trialOf(appliance, slot) };
}

/** Checks every byte of an installed version of the agent. */
export function isWhole({ files, layout }: Appliance, { slot, manifest }: Installed): boolean {
  return asVerdict(() => verifyInstalled(files, layout, 'app', slot, manifest)).sound;
}

function isWholeAgain(appliance: Appliance, { app }: StateBody, { reason, tx }: Safe): boolean {
  const { files, layout } = appliance;
  if (!isWhole(appliance, app.committed)) return false;
  if (reason === 'slot-damaged') return true;
  const index = readSnapshot(files, layout, tx);
  if (index === null) return false;
  try {
    verifyRestored(files, layout, index, appliance.settings.agentUser);
    return true;
  } catch (error) {
    if (error instanceof RestoreError) return false;
    throw error;
  }
}

/** launch starts factory from here on; whatever runs now was started before. */
export async function enterSafe(appliance: Appliance, state: StateBody): Promise<void> {
  const { events, processes, clock } = appliance;
  const text = recoveryTexts.safeMode(state.safe?.text ?? recoveryTexts.nothingProven, factoryWords(appliance));
  appliance.log(text);
  events.add(`safe ${clock.bootId()} ${state.lastTx}`, { kind: 'safe-mode', text });
  await processes.stopAgent();
  tidyAgentPlaces(appliance);
  await processes.startAgent();
}

/** The committed version takes over from the factory agent. */
export async function leaveSafe(appliance: Appliance): Promise<void> {
  appliance.log(recoveryTexts.wholeAgain);
  await appliance.processes.stopAgent();
  await appliance.processes.startAgent();
  await untilServes(appliance);
}
