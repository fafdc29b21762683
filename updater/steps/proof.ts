import type { Installed, Safe, StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import type { MachineEvent } from '../machine-event.ts';
import { verifyInstalled } from '../release/verify-slot.ts';
import { wayBack } from './acceptance.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { asVerdict } from './committed-slot.ts';
import { trialOf } from './going-back.ts';
import { RestoreError, verifyRestored } from './restore.ts';
import { untilServes } from './revert.ts';
import { readSnapshot } from './snapshot.ts';

/** Into safe mode and out of it. */

/** What the updater does by itself in safe mode: out of it when all is whole again, or back to a version that is. */
export function lookForAWayOut(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { safe, app } = state;
  if (safe === null || isWholeAgain(appliance, state, safe)) return { kind: 'sound' };
  if (safe.reason !== 'slot-damaged') return null;
  const way = wayBack(appliance, state);
  if (way.kind !== 'open' || state.quarantine.some(({ manifest }) => manifest === way.previous.manifest)) return null;
  const { slot, version } = way.previous;
  if (!isWhole(appliance, way.previous)) return null;
  appliance.log(`${app.committed.version} is damaged: going back to ${version}, which is whole`);
  return { kind: 'return', trial: trialOf(appliance, slot) };
}

/** Every byte of an installed version of the agent. */
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
    verifyRestored(files, layout, index);
    return true;
  } catch (error) {
    if (error instanceof RestoreError) return false;
    throw error;
  }
}

/** launch starts factory from here on; whatever runs now was started before. */
export async function enterSafe(appliance: Appliance, state: StateBody): Promise<void> {
  const { events, processes, clock } = appliance;
  const text = `safe mode: ${state.safe?.text ?? 'nothing proven can be started'}; the factory agent runs`;
  appliance.log(text);
  events.add(`safe ${clock.bootId()} ${state.lastTx}`, { kind: 'safe-mode', text });
  await processes.stopAgent();
  tidyAgentPlaces(appliance);
  await processes.startAgent();
}

/** The committed version takes over from the factory agent. */
export async function leaveSafe(appliance: Appliance): Promise<void> {
  appliance.log('what was damaged is whole again');
  await appliance.processes.stopAgent();
  await appliance.processes.startAgent();
  await untilServes(appliance);
}
