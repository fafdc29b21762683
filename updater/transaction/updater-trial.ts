import type { FailureReason, StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { forgetArmedState } from '../appliance/armed-state.ts';
import { triesOf } from '../appliance/tries.ts';
import { readUpdaterEnds } from '../launch/end.ts';
import type { MachineEvent } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import { keepUpdaterEvidence } from '../outcome/evidence.ts';
import type { Found } from '../outcome/outcome.ts';
import { agentFacts } from '../watch/crashes.ts';
import { keepAgentUp } from '../watch/keep-agent.ts';
import { transactionTexts } from '../words/texts.ts';
import type { AskServer } from './ask-server.ts';
import { commitSlot } from './commit.ts';
import { rolledBack } from './rolled-back.ts';

/**
 * The trial of an updater: its first whole run commits it. launch counts its starts; when they are spent, launch starts
 * the previous updater, and that one judges the result.
 */

/** Is this program the one on trial? Decided by its manifest, not by a path (S25). */
function isOnTrial({ manifest }: Appliance, state: StateBody): boolean {
  return manifest !== null && manifest === transactionOf(state).manifest;
}

/** Does the updater on trial have to be started now, which only launch does? */
export function isToBeStarted(appliance: Appliance, state: StateBody): boolean {
  const { row } = state;
  if ((row !== 'armed' && row !== 'trial') || isOnTrial(appliance, state)) return false;
  return !areSpent(appliance, state);
}

function areSpent(appliance: Appliance, state: StateBody): boolean {
  const { tx, trial } = transactionOf(state);
  const { tries, outOfBoots } = triesOf(appliance, 'updater', tx);
  return outOfBoots || tries >= trial.tries;
}

/** `armed`: the updater on trial begins its trial; the previous one makes way, or judges. */
export async function startUpdaterTrial(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<MachineEvent> {
  return isOnTrial(appliance, state) ? { kind: 'started' } : judgeTries(appliance, state, memory, askServer);
}

/** `trial`: a whole run, up to the point where a run would begin something new. */
export async function judgeUpdater(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<MachineEvent> {
  if (!isOnTrial(appliance, state)) return judgeTries(appliance, state, memory, askServer);
  memory.forced = true;
  const outcome = await askServer(appliance, state, { fresh: true });
  const { baselineServer } = transactionOf(state);
  if (baselineServer === 'ok' && outcome?.outcome !== 'answered') {
    appliance.log(transactionTexts.runNotWhole);
    return { kind: 'nothing' };
  }
  await keepAgentUp(appliance, await agentFacts(appliance));
  return { kind: 'passed', downMs: 0 };
}

/** How the updater on trial used its tries, as far as others can tell. */
async function judgeTries(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<MachineEvent> {
  const { tx, trial, baselineServer } = transactionOf(state);
  if (!areSpent(appliance, state)) return { kind: 'nothing' };
  const failed = (reason: FailureReason, text: string): MachineEvent => ({ kind: 'failed', reason, text });
  if (triesOf(appliance, 'updater', tx).outOfBoots) return failed('inconclusive', transactionTexts.powerFailed);
  const exit = readUpdaterEnds(appliance.files, appliance.layout)?.exit ?? null;
  const how = exit === null ? '' : transactionTexts.lastExit(exit.signal ?? exit.code);
  if (exit?.code !== 0) return failed('crash-loop', transactionTexts.endedBeforeWhole(trial.tries, how));
  memory.forced = true;
  const outcome = await askServer(appliance, state, { fresh: false });
  const reaches = baselineServer === 'ok' && outcome?.outcome === 'answered';
  return reaches
    ? failed('server-not-reached', transactionTexts.serverNotReached)
    : failed('inconclusive', transactionTexts.noWholeRun(trial.tries));
}

/** The updater on trial did a whole run: it is the updater now. */
export async function commitUpdater(appliance: Appliance, state: StateBody): Promise<Found> {
  const committed = commitSlot(appliance, state);
  forgetArmedState(appliance);
  return committed;
}

/** Nothing has to be stopped or put back: this updater runs, and the agent has not noticed. */
export async function revertUpdater(appliance: Appliance, state: StateBody): Promise<Found> {
  if (transactionOf(state).failure === null) throw new RangeError('reverting without a verdict');
  const reverted = rolledBack(appliance, state, await keepUpdaterEvidence(appliance, state));
  forgetArmedState(appliance);
  return reverted;
}
