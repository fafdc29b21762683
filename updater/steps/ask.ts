import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import { isCrashLooping } from './bursts.ts';
import { leaveLoop, lookAtLoop } from './crash-loop.ts';
import { takeHint } from './hint.ts';
import { keepAgentUp } from './keep-agent.ts';
import { ageTrials } from './kept-trials.ts';
import { lookAtCommitted, lookForAWayOut } from './proof.ts';
import { publishStatus } from './publish-status.ts';
import { isBackingOff } from './refused.ts';
import { reportToServer } from './report.ts';
import { takeRequest } from './requests.ts';
import { takeFromStick } from './stick.ts';
import { isBelowFloor, wantedOf } from './wanted.ts';
import { countWindow } from './window.ts';

/** The newest decision of the server, when it is something to install now. */
function choose(appliance: Appliance, state: StateBody): MachineEvent {
  const wanted = wantedOf(state, loadRemembered(appliance.files, appliance.layout).desired);
  if (wanted.kind !== 'take') return { kind: 'nothing' };
  const { manifest } = wanted.choice;
  return isBackingOff(appliance, manifest) || isBelowFloor(appliance, manifest) ? { kind: 'nothing' } : wanted;
}

/**
 * Out of a crash loop of what is committed: to something newer, which the server is asked for first, else back.
 * @returns null: it stays, and is started again
 */
async function leaveCrashLoop(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent | null> {
  if (!(await isCrashLooping(appliance, state)) || lookAtLoop(appliance, state).kind === 'stay') return null;
  memory.forced = true;
  await reportToServer(appliance, state, memory, { fresh: false });
  const newer = choose(appliance, state);
  if (newer.kind !== 'nothing') return newer;
  // Its answer may also have closed the window.
  return lookAtLoop(appliance, state).kind === 'stay' ? null : leaveLoop(appliance, state);
}

/** What an idle updater does: people first, then what they brought, then the server, then the agent is started where nobody else would. */
export async function ask(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const requested = await takeRequest(appliance, state);
  if (requested === 'asked') {
    memory.forced = true;
    return ask(appliance, state, memory);
  }
  // What a person changed, the server hears at once: its answer may be another one now.
  if (requested !== null) {
    memory.forced = true;
    // The answer is there at once, however long the transaction takes.
    await publishStatus(appliance, state);
    return requested;
  }
  ageTrials(appliance);
  const window = countWindow(appliance, state);
  if (window !== null) return window;
  const brought = await takeFromStick(appliance, state);
  if (brought !== null) {
    memory.forced = true;
    return brought;
  }
  const proof = state.row === 'safe' ? lookForAWayOut(appliance, state) : lookAtCommitted(appliance, state);
  if (proof !== null) {
    memory.forced = true;
    return proof;
  }
  if (takeHint(appliance)) memory.forced = true;
  await reportToServer(appliance, state, memory, { fresh: false });
  const event = choose(appliance, state);
  if (event.kind !== 'nothing') return event;
  // A newer release would have come first.
  const left = await leaveCrashLoop(appliance, state, memory);
  if (left !== null) return left;
  await keepAgentUp(appliance, state);
  return event;
}
