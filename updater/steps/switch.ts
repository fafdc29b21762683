import { join } from 'node:path';
import type { CheckStatus } from '../../protocol/health.ts';
import { committedName } from '../../protocol/seal.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { ageWord } from '../age-word.ts';
import { readHealth } from '../agent-health.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { forgetArmedState } from '../armed-state.ts';
import { loadRemembered } from '../check-in.ts';
import { currentNonce } from '../current-start.ts';
import { prepareFile, replacePreparedJson } from '../effects/durable.ts';
import { next } from '../machine.ts';
import type { MachineEvent } from '../machine-event.ts';
import { ProcessControlError } from '../processes/process-control.ts';
import { readRecord } from '../record-store.ts';
import { giveUpSpace, reserveSpace } from '../release/reserve.ts';
import { readSeal } from '../release/verify-slot.ts';
import { reasonTexts, withoutBaseline } from '../sentences.ts';
import { transactionOf } from '../transitions.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { agentFacts, forgetCrashes } from './crashes.ts';
import { holdOf } from './defer.ts';
import { isPutAside, pruneTrials, putAside, trialsKeptDays, trialsKeptMax } from './kept-trials.ts';
import { recordOutcome } from './outcome.ts';
import { reportToServer } from './report.ts';
import { sealedOrWhyNot, supersededByServer } from './sealed.ts';
import { putAsideDirectory, stateBytes, stateBytesMaxDefault, takeSnapshot } from './snapshot.ts';

/** The steps of a switch that goes well: from the sealed slot to the commit. */

/** More than `.committed` can have: it holds no more than the record does. */
export const markBytes = 8 * 1024;

function word(status: string | { readonly raw: string }): CheckStatus {
  return status === 'ok' || status === 'warn' || status === 'fail' ? status : 'unknown';
}

/**
 * Waits for the window where somebody has to be asked: a healthy agent does its work, so an update of it waits; a dead
 * one, a file and a person do not. Then the baseline is taken.
 */
export async function awaitWindow(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  const { layout, files, processes, log } = appliance;
  const ended = await sealedOrWhyNot(appliance, state, memory, ({ tx, component }) => {
    // The agent's state may have grown since: without room for its copy the agent is not even stopped.
    const snapped = stateBytes(files, layout, stateBytesMaxDefault);
    if (component !== 'os') reserveSpace({ files, layout, tx, log }, { snapped });
  });
  if (ended !== null) return ended;
  await reportToServer(appliance, state, memory, { fresh: false });
  if ((await processes.agent()).state === 'inactive') await processes.startAgent();
  const { answer } = await readHealth(layout.agentSocket);
  const ours = answer !== null && answer.nonce === currentNonce(files, layout) ? answer : null;
  if (transaction.waits && ours !== null) {
    const superseded = supersededByServer(appliance, state);
    if (superseded !== null) return superseded;
    const hold = await holdOf(appliance, state, ours, loadRemembered(files, layout).desired?.openForS ?? 0);
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
    appliance.log(`the agent can not be stopped: ${error.message}`);
    return { kind: 'agent-stays' };
  }
}

export function snapshot(appliance: Appliance, state: StateBody): MachineEvent {
  const { files, layout, settings } = appliance;
  try {
    const { tx, component, slot } = transactionOf(state);
    // All that the commit will write: from `armed` on nothing needs space.
    if (slot !== null) prepareFile(files, join(layout.slot(component, slot), committedName), markBytes, 0o644);
    giveUpSpace({ files, layout, tx }, 'snapped');
    takeSnapshot(files, layout, tx, stateBytesMaxDefault, settings.agentUser, schemaOf(appliance, state));
    tidyAgentPlaces(appliance);
    return { kind: 'snapshot-done' };
  } catch (error) {
    // What the disk refuses (ENOSPC, EROFS, EIO) must not stop and start a healthy agent without end.
    if (!(error instanceof Error && 'code' in error)) throw error;
    appliance.log(`the state can not be copied: ${error.message}`);
    return { kind: 'snapshot-failed' };
  }
}

/** What the agent's state is written as; in safe mode the state that is copied is not one that a proven version serves. */
function schemaOf({ files, layout }: Appliance, { app, safe }: StateBody): number | null {
  return safe === null ? (readSeal(files, layout.slot('app', app.committed.slot))?.state.writes ?? null) : null;
}

export async function startTrial(appliance: Appliance): Promise<MachineEvent> {
  await appliance.processes.startAgent();
  return { kind: 'started' };
}

/** `.committed` into the slot, then what only this transaction needed is removed; the record follows. */
export async function commit(appliance: Appliance, state: StateBody): Promise<MachineEvent> {
  const { files, layout } = appliance;
  const transaction = transactionOf(state);
  if (transaction.component === 'os' || transaction.slot === null) throw new RangeError('no slot to commit');
  const after = next(state, { kind: 'committed' });
  const directory = layout.slot(transaction.component, transaction.slot);
  const { floor, quarantine } = after;
  const { tx, version, manifest } = transaction;
  const seq = readRecord(files, layout.stateRecords)?.seq ?? 0;
  // Of factory too: whoever goes back to it must find it again when the records are lost.
  replacePreparedJson(files, join(directory, committedName), { seq, tx, version, manifest, floor, quarantine }, 0o644);
  const { from, text, here } = describe(appliance, state);
  appliance.log(text);
  if (transaction.cause !== undefined) reportLeft(appliance, state, transaction);
  recordOutcome(appliance, state, transaction, {
    outcome: 'committed',
    reason: transaction.cause ?? null,
    text: `${from} → ${transaction.version}: ${text}`,
    ...here,
    downMs: transaction.downMs,
    revertedMs: null,
  });
  if (transaction.component === 'updater') {
    forgetArmedState(appliance);
    return { kind: 'committed' };
  }
  const agent = await agentFacts(appliance);
  if (agent !== null) forgetCrashes(appliance, agent);
  if (transaction.data !== undefined) putAside(files, layout, transaction.data.tx);
  // Of the agent's switches: what another component's leaves has nothing to do with the way back.
  if (transaction.component === 'app') pruneSnapshots(appliance, transaction.tx);
  return { kind: 'committed' };
}

function describe(appliance: Appliance, state: StateBody): { from: string; text: string; here?: { here: string } } {
  const { kind, component, version, cause, data } = transactionOf(state);
  const from = component === 'os' ? '' : state[component].committed.version;
  const without = withoutBaseline(state);
  const after = (text: string) => (without === '' ? text : `${text}.${without}`);
  const what = component === 'app' ? version : `${component} ${version}`;
  if (kind !== 'return') return { from, text: after(`${what} passed its trial`) };
  if (cause !== undefined)
    return { from, text: `${from} crashed or hung again and again; went back to ${version} by itself` };
  if (data === undefined) return { from, text: after(`went back to ${version}`) };
  const text = `went back to ${version} and its data of ${ageWord(data.ageH)} ago.${without}`;
  const place = putAsideDirectory(appliance.layout, data.tx);
  const here = `The data of ${from} is kept in ${place}, for ${trialsKeptDays} days of running and until ${trialsKeptMax} more were kept.`;
  return { from, text, here: { here } };
}

/**
 * The server hears of the version that was left by itself as of one that was rolled back: its rollout stops for all. Before
 * the commit, which ends what was tried and failed.
 */
function reportLeft(appliance: Appliance, state: StateBody, { tx, component, version, cause }: Transaction): void {
  const { committed } = state.app;
  const reason = cause ?? 'crash-loop';
  appliance.events.add(`left ${tx}`, {
    kind: 'release-rolled-back',
    text: `${committed.version} was left after its commit, because ${reasonTexts[reason]} (${reason}); ${version} runs again`,
    release: { tx, component, manifest: committed.manifest, version: committed.version, from: version, reason },
  });
}

/**
 * The snapshot of the newest switch is kept for going back; those before it are not needed any more. What a person put
 * aside has bounds of its own.
 */
function pruneSnapshots({ files, layout }: Appliance, tx: number): void {
  for (const name of files.list(layout.snapshots)) {
    if (name !== String(tx) && !isPutAside(files, layout, name)) files.removeTree(join(layout.snapshots, name));
  }
  if (files.stat(layout.snapshots) !== null) files.syncDirectory(layout.snapshots);
  pruneTrials(files, layout);
}
