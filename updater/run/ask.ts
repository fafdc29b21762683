import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { hasRequest } from '../appliance/request-name.ts';
import { isBackingOff } from '../choice/refused.ts';
import { isBelowFloor, isReplacedByFactory, wantedOf } from '../choice/wanted.ts';
import type { MachineEvent } from '../machine/event.ts';
import { ageTrials } from '../outcome/kept-trials.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { answerEnded, answerLook, isLookAwaited } from '../requests/request-answers.ts';
import { presentFiles } from '../requests/stick-files.ts';
import { readNotes } from '../requests/stick-notes.ts';
import type { CheckInOutcome } from '../server/check-in.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { publishStatus } from '../status/publish-status.ts';
import { reportToServer } from '../status/report.ts';
import { countWindow } from '../transaction/window.ts';
import { isCrashLooping } from '../watch/bursts.ts';
import { lookAtCommitted } from '../watch/committed-slot.ts';
import { agentFacts } from '../watch/crashes.ts';
import { endHungAgent, lookAtAgent } from '../watch/watch-agent.ts';
import { takeHint } from './hint.ts';
import { keepUpAndTell } from './tell.ts';

/** The server's newest decision, when it names something to install now. */
function choose(appliance: Appliance, state: StateBody): MachineEvent {
  const { files, layout } = appliance;
  const { desired } = loadRemembered(files, layout);
  const wanted = wantedOf(state, desired, isReplacedByFactory(appliance, state, desired));
  if (wanted.kind !== 'take') return { kind: 'nothing' };
  const { manifest } = wanted.choice;
  return isBackingOff(appliance, manifest) || isBelowFloor(appliance, manifest) ? { kind: 'nothing' } : wanted;
}

/**
 * Leaves a crash loop of the committed version: for something newer, which the server is asked for first, else back.
 * @returns null: it stays, and is started again
 */
async function leaveCrashLoop(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  agent: { readonly hung: boolean; readonly facts: AgentFacts | null },
): Promise<MachineEvent | null> {
  if (!isCrashLooping(appliance, state, agent)) return null;
  const { leaveLoop, lookAtLoop } = await import('../recovery/crash-loop.ts');
  if (lookAtLoop(appliance, state).kind === 'stay') return null;
  memory.forced = true;
  await reportToServer(appliance, state, memory, { fresh: false });
  const newer = choose(appliance, state);
  if (newer.kind !== 'nothing') return newer;
  // Its answer may also have closed the window.
  return lookAtLoop(appliance, state).kind === 'stay' ? null : leaveLoop(appliance, state);
}

/**
 * The next request that changes something; those before it are answered. Nearly every run finds no request, so the code
 * that answers requests, and all of TUF with it, is loaded only for one.
 */
async function requestOf(
  appliance: Appliance,
  state: StateBody,
  { requestsTaken }: RunMemory,
): Promise<MachineEvent | 'asked' | null> {
  while (hasRequest(appliance)) {
    const { takeRequest } = await import('../requests/requests.ts');
    const before = requestsTaken.size;
    const found = await takeRequest(appliance, state, requestsTaken);
    if (found !== null || requestsTaken.size === before) return found;
  }
  return null;
}

async function broughtOnStick(appliance: Appliance, state: StateBody): Promise<MachineEvent | null> {
  if (appliance.settings.sticks.length === 0) return null;
  const present = presentFiles(appliance);
  const isEmpty = present.bundles.length === 0 && present.sources.length === 0 && readNotes(appliance).length === 0;
  if (isEmpty) return null;
  const { takeFromStick } = await import('../requests/stick.ts');
  return takeFromStick(appliance, state, present);
}

/** People who wait for the look hear its result before anything more is done. */
async function told(
  appliance: Appliance,
  state: StateBody,
  outcome: CheckInOutcome | null,
  event: MachineEvent,
): Promise<MachineEvent> {
  if (answerLook(appliance, state, outcome, event)) await publishStatus(appliance, state);
  return event;
}

async function proofOf(appliance: Appliance, state: StateBody): Promise<MachineEvent | null> {
  if (state.row !== 'safe') return lookAtCommitted(appliance, state);
  const { leaveSafeByItself } = await import('../recovery/safe-mode.ts');
  return leaveSafeByItself(appliance, state);
}

/**
 * What an idle updater does: it serves people first, then what they brought, then the server; then it ends a hung agent
 * and starts an agent that nothing else would start.
 */
export async function ask(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  answerEnded(appliance, state);
  const requested = await requestOf(appliance, state, memory);
  if (requested === 'asked') {
    memory.forced = true;
    return ask(appliance, state, memory);
  }
  // The server hears at once what a person changed: its answer may now be different.
  if (requested !== null) {
    memory.forced = true;
    // The person sees the answer at once, however long the transaction takes.
    await publishStatus(appliance, state);
    return requested;
  }
  ageTrials(appliance);
  const window = countWindow(appliance, state);
  if (window !== null) return window;
  // An earlier run ended before it had answered.
  if (isLookAwaited(appliance)) memory.forced = true;
  const brought = await broughtOnStick(appliance, state);
  if (brought !== null) {
    memory.forced = true;
    return told(appliance, state, null, brought);
  }
  const proof = await proofOf(appliance, state);
  if (proof !== null) {
    memory.forced = true;
    return proof;
  }
  if (takeHint(appliance)) memory.forced = true;
  const look = await lookAtAgent(appliance);
  const outcome = await reportToServer(appliance, state, memory, { fresh: false, look });
  const event = await told(appliance, state, outcome, choose(appliance, state));
  if (event.kind !== 'nothing') return event;
  // A newer release would have come first. The check-in may have taken a while.
  const facts = outcome === null ? look.facts : await agentFacts(appliance);
  const hung = await endHungAgent(appliance, state, facts);
  const left = await leaveCrashLoop(appliance, state, memory, { hung, facts });
  if (left !== null) return left;
  await keepUpAndTell(appliance, state, hung ? await agentFacts(appliance) : facts);
  return event;
}
