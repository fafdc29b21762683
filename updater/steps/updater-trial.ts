import type { FailureReason, StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { forgetArmedState } from '../armed-state.ts';
import { readUpdaterEnds } from '../launch-end.ts';
import type { MachineEvent } from '../machine-event.ts';
import { reasonTexts } from '../sentences.ts';
import { transactionOf } from '../transitions.ts';
import { triesOf } from '../tries.ts';
import { agentFacts } from './crashes.ts';
import { keepUpdaterEvidence } from './evidence.ts';
import { keepAgentUp } from './keep-agent.ts';
import { recordOutcome } from './outcome.ts';
import { noteRefused } from './refused.ts';
import { reportToServer } from './report.ts';

/**
 * The trial of an updater: its first whole run commits it. launch counts its starts; when they are spent, launch starts
 * the updater before it, and that one judges what they came to.
 */

/** Is this very program the one on trial? Told by its manifest, not by a path (S25). */
function isOnTrial({ manifest }: Appliance, state: StateBody): boolean {
  return manifest !== null && manifest === transactionOf(state).manifest;
}

/** Does the updater on trial have to be started now, which only launch does? */
export function isToBeStarted(appliance: Appliance, state: StateBody): boolean {
  const { row, trial } = state;
  if (trial?.component !== 'updater' || (row !== 'armed' && row !== 'trial') || isOnTrial(appliance, state))
    return false;
  return !areSpent(appliance, state);
}

function areSpent(appliance: Appliance, state: StateBody): boolean {
  const { tx, trial } = transactionOf(state);
  const { tries, outOfBoots } = triesOf(appliance, 'updater', tx);
  return outOfBoots || tries >= trial.tries;
}

/** `armed`: the one on trial takes its trial up; the one before it makes way, or judges. */
export async function startUpdaterTrial(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
): Promise<MachineEvent> {
  return isOnTrial(appliance, state) ? { kind: 'started' } : judgeTries(appliance, state, memory);
}

/** `trial`: a whole run, up to the point where one would take something up. */
export async function judgeUpdater(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  if (!isOnTrial(appliance, state)) return judgeTries(appliance, state, memory);
  memory.forced = true;
  const outcome = await reportToServer(appliance, state, memory, { fresh: true });
  const { baselineServer } = transactionOf(state);
  if (baselineServer === 'ok' && outcome?.outcome !== 'answered') {
    appliance.log('this updater does not reach the server, which the one before it could: the run is not whole');
    return { kind: 'nothing' };
  }
  await keepAgentUp(appliance, state, await agentFacts(appliance));
  return { kind: 'passed', downMs: 0 };
}

/** What the updater on trial made of its tries, as far as others can tell. */
async function judgeTries(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const { tx, trial, baselineServer } = transactionOf(state);
  if (!areSpent(appliance, state)) return { kind: 'nothing' };
  const failed = (reason: FailureReason, text: string): MachineEvent => ({ kind: 'failed', reason, text });
  if (triesOf(appliance, 'updater', tx).outOfBoots)
    return failed('inconclusive', 'the power failed too often for a verdict');
  const exit = readUpdaterEnds(appliance.files, appliance.layout)?.exit ?? null;
  const how = exit === null ? '' : ` (last exit: ${exit.signal ?? exit.code})`;
  if (exit?.code !== 0) return failed('crash-loop', `it ended ${trial.tries} times before its first whole run${how}`);
  memory.forced = true;
  const outcome = await reportToServer(appliance, state, memory, { fresh: false });
  const reaches = baselineServer === 'ok' && outcome?.outcome === 'answered';
  return reaches
    ? failed('server-not-reached', 'it does not reach the server, which the updater before it could and can')
    : failed('inconclusive', `none of its ${trial.tries} runs was whole, and the server is not reached now either`);
}

/** Nothing has to be stopped or put back: this updater runs, and the agent has not noticed. */
export async function revertUpdater(appliance: Appliance, state: StateBody): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  const { failure, version, manifest } = transaction;
  if (failure === null) throw new RangeError('reverting without a verdict');
  const evidence = await keepUpdaterEvidence(appliance, state);
  const reason = reasonTexts[failure.reason];
  const text = `updater ${version} was rolled back, because ${reason} (${failure.reason}): ${failure.text}.`;
  appliance.log(text);
  if (failure.reason === 'inconclusive') noteRefused(appliance, manifest, text);
  const end = {
    outcome: 'rolled-back',
    reason: failure.reason,
    text,
    downMs: null,
    revertedMs: null,
    evidence,
  } as const;
  recordOutcome(appliance, state, transaction, end);
  forgetArmedState(appliance);
  return { kind: 'reverted' };
}
