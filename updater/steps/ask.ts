import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { isCrashLooping } from './bursts.ts';
import { lookAtCommitted } from './committed-slot.ts';
import { agentFacts } from './crashes.ts';
import { takeHint } from './hint.ts';
import { keepAgentUp } from './keep-agent.ts';
import { ageTrials } from './kept-trials.ts';
import { publishStatus } from './publish-status.ts';
import { isBackingOff } from './refused.ts';
import { reportToServer } from './report.ts';
import { presentFiles } from './stick-files.ts';
import { readNotes } from './stick-notes.ts';
import { isBelowFloor, wantedOf } from './wanted.ts';
import { endHungAgent, lookAtAgent } from './watch-agent.ts';
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
async function leaveCrashLoop(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  agent: { readonly hung: boolean; readonly facts: AgentFacts | null },
): Promise<MachineEvent | null> {
  if (!isCrashLooping(appliance, state, agent)) return null;
  const { leaveLoop, lookAtLoop } = await import('./crash-loop.ts');
  if (lookAtLoop(appliance, state).kind === 'stay') return null;
  memory.forced = true;
  await reportToServer(appliance, state, memory, { fresh: false });
  const newer = choose(appliance, state);
  if (newer.kind !== 'nothing') return newer;
  // Its answer may also have closed the window.
  return lookAtLoop(appliance, state).kind === 'stay' ? null : leaveLoop(appliance, state);
}

/** Nearly every run finds none: what answers them, and all of TUF with it, is loaded only where there is one. */
async function requestOf(appliance: Appliance, state: StateBody): Promise<MachineEvent | 'asked' | null> {
  if (appliance.files.list(appliance.layout.requests).length === 0) return null;
  const { takeRequest } = await import('./requests.ts');
  return takeRequest(appliance, state);
}

async function broughtOnStick(appliance: Appliance, state: StateBody): Promise<MachineEvent | null> {
  if (appliance.settings.sticks.length === 0) return null;
  const present = presentFiles(appliance);
  const isEmpty = present.bundles.length === 0 && present.sources.length === 0 && readNotes(appliance).length === 0;
  if (isEmpty) return null;
  const { takeFromStick } = await import('./stick.ts');
  return takeFromStick(appliance, state, present);
}

async function proofOf(appliance: Appliance, state: StateBody): Promise<MachineEvent | null> {
  if (state.row !== 'safe') return lookAtCommitted(appliance, state);
  const { lookForAWayOut } = await import('./proof.ts');
  return lookForAWayOut(appliance, state);
}

/**
 * What an idle updater does: people first, then what they brought, then the server, then a hung agent is ended, and one that
 * nobody else would start is started.
 */
export async function ask(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const requested = await requestOf(appliance, state);
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
  const brought = await broughtOnStick(appliance, state);
  if (brought !== null) {
    memory.forced = true;
    return brought;
  }
  const proof = await proofOf(appliance, state);
  if (proof !== null) {
    memory.forced = true;
    return proof;
  }
  if (takeHint(appliance)) memory.forced = true;
  const look = await lookAtAgent(appliance);
  const outcome = await reportToServer(appliance, state, memory, { fresh: false, look });
  const event = choose(appliance, state);
  if (event.kind !== 'nothing') return event;
  // A newer release would have come first. The server may have taken its time.
  const facts = outcome === null ? look.facts : await agentFacts(appliance);
  const hung = await endHungAgent(appliance, state, facts);
  const left = await leaveCrashLoop(appliance, state, memory, { hung, facts });
  if (left !== null) return left;
  await keepAgentUp(appliance, state, hung ? await agentFacts(appliance) : facts);
  return event;
}
