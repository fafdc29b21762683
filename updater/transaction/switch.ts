import { join } from 'node:path';
import type { CheckStatus } from '../../protocol/health.ts';
import { committedName } from '../../protocol/seal.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { stateBytes, stateBytesMaxDefault, takeSnapshot } from '../agent-data/snapshot.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { currentNonce } from '../appliance/current-start.ts';
import { prepareFile } from '../effects/durable.ts';
import type { MachineEvent } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import { isPutAside, pruneTrials, putAside } from '../outcome/kept-trials.ts';
import type { Found } from '../outcome/outcome.ts';
import { ProcessControlError } from '../processes/process-control.ts';
import { giveUpSpace, reserveSpace } from '../release/reserve.ts';
import { readSeal } from '../release/verify-slot.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { readAgentHealth } from '../watch/agent-health.ts';
import { agentFacts, forgetCrashes, noteTrialBegins } from '../watch/crashes.ts';
import { transactionTexts } from '../words/texts.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import type { AskServer } from './ask-server.ts';
import { commitSlot, markBytes } from './commit.ts';
import { holdOf } from './defer.ts';
import { sealAndProve, sealedOrWhyNot, supersededByServer } from './sealed.ts';

/** The steps of a switch that goes well: from the sealed slot to the commit. */

function word(status: string | { readonly raw: string }): CheckStatus {
  return status === 'ok' || status === 'warn' || status === 'fail' ? status : 'unknown';
}

/**
 * Waits for the window if it has to: an update of a healthy agent waits, because the agent does its work; an update of
 * a dead agent, from a file or by a person does not. Then it takes the baseline.
 */
export async function awaitWindow(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<Found> {
  const transaction = transactionOf(state);
  const { layout, files, processes, log } = appliance;
  const ended = sealedOrWhyNot(appliance, state, () => {
    const unproven = sealAndProve(appliance, state, memory);
    if (unproven !== null) return unproven;
    // The agent's state may have grown meanwhile: without room for its copy the agent is not even stopped.
    const snapped = stateBytes(files, layout, stateBytesMaxDefault, appliance.settings.agentUser);
    reserveSpace({ files, layout, tx: transaction.tx, log }, { snapped });
    return null;
  });
  if (ended !== null) return ended;
  await askServer(appliance, state, { fresh: false });
  if ((await processes.agent()).state === 'inactive') await processes.startAgent();
  const { answer } = await readAgentHealth(appliance);
  const ours = answer !== null && answer.nonce === currentNonce(files, layout) ? answer : null;
  if (transaction.waits && ours !== null) {
    const superseded = supersededByServer(appliance, state);
    if (superseded !== null) return superseded;
    const hold = holdOf(appliance, state, ours, loadRemembered(files, layout).desired?.openForS ?? 0);
    if (hold !== 'go') return { kind: hold === 'wait' ? 'nothing' : 'refused' };
  }
  if (ours === null) return { kind: 'clear', baseline: null, baselineServer: 'unknown' };
  const baseline = Object.fromEntries(Object.entries(ours.checks).map(([name, status]) => [name, word(status)]));
  return { kind: 'clear', baseline, baselineServer: word(ours.server) };
}

export async function stopAgent(appliance: Appliance, memory: RunMemory): Promise<MachineEvent> {
  memory.stoppedMs = appliance.clock.monoMs();
  try {
    await appliance.processes.stopAgent();
    return { kind: 'agent-gone' };
  } catch (error) {
    if (!(error instanceof ProcessControlError) || error.code !== 'agent-not-gone') throw error;
    appliance.log(transactionTexts.agentNotStopped(error.message));
    return { kind: 'agent-stays' };
  }
}

export function snapshot(appliance: Appliance, state: StateBody): MachineEvent {
  const { files, layout, settings } = appliance;
  try {
    const { tx, component, slot } = transactionOf(state);
    // Everything that the commit will write: from `armed` on, nothing needs space.
    if (slot !== null) prepareFile(files, join(layout.slot(component, slot), committedName), markBytes, 0o644);
    giveUpSpace({ files, layout, tx }, 'snapped');
    takeSnapshot(files, layout, tx, stateBytesMaxDefault, settings.agentUser, schemaOf(appliance, state));
    tidyAgentPlaces(appliance);
    return { kind: 'snapshot-done' };
  } catch (error) {
    // A disk that refuses (ENOSPC, EROFS, EIO) must not cause a healthy agent to stop and start for ever.
    if (!(error instanceof Error && 'code' in error)) throw error;
    appliance.log(transactionTexts.stateNotCopied(error.message));
    return { kind: 'snapshot-failed' };
  }
}

/** The schema of the agent's state. In safe mode, the copied state is not one that a proven version serves. */
function schemaOf({ files, layout }: Appliance, { app, safe }: StateBody): number | null {
  return safe === null ? (readSeal(files, layout.slot('app', app.committed.slot))?.state.writes ?? null) : null;
}

export async function startTrial(appliance: Appliance, state: StateBody): Promise<MachineEvent> {
  const agent = await agentFacts(appliance);
  if (agent !== null) noteTrialBegins(appliance, transactionOf(state).tx, agent);
  await appliance.processes.startAgent();
  return { kind: 'started' };
}

/** Removes what only this transaction needed; the record follows. */
export async function commit(appliance: Appliance, state: StateBody): Promise<Found> {
  const { files, layout } = appliance;
  const transaction = transactionOf(state);
  const committed = commitSlot(appliance, state);
  const agent = await agentFacts(appliance);
  if (agent !== null) forgetCrashes(appliance, agent);
  if (transaction.data !== undefined) putAside(files, layout, transaction.data.tx);
  pruneSnapshots(appliance, transaction.tx);
  return committed;
}

/**
 * The snapshot of the newest switch is kept for going back; earlier ones are no longer needed. Data that a person put
 * aside has its own limits.
 */
function pruneSnapshots({ files, layout }: Appliance, tx: number): void {
  for (const name of files.list(layout.snapshots)) {
    if (name !== String(tx) && !isPutAside(files, layout, name)) files.removeTree(join(layout.snapshots, name));
  }
  if (files.stat(layout.snapshots) !== null) files.syncDirectory(layout.snapshots);
  pruneTrials(files, layout);
}
