import { join } from 'node:path';
import type { CheckStatus } from '../../protocol/health.ts';
import { committedName } from '../../protocol/seal.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { readHealth } from '../agent-health.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import { prepareFile, replacePreparedJson } from '../effects/durable.ts';
import { next } from '../machine.ts';
import type { MachineEvent } from '../machine-event.ts';
import { ProcessControlError } from '../processes/process-control.ts';
import { readRecord } from '../record-store.ts';
import { ReleaseError } from '../release/release-error.ts';
import { giveUpSpace, reserveSpace } from '../release/reserve.ts';
import { keptManifest } from '../release/resolve-release.ts';
import { readSeal, verifyInstalled } from '../release/verify-slot.ts';
import { sealSlot } from '../release/write-slot.ts';
import { transactionOf } from '../transitions.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { agentFacts, forgetCrashes } from './crashes.ts';
import { currentNonce } from './judge.ts';
import { keepDeviceSlot } from './os-slot.ts';
import { recordOutcome } from './outcome.ts';
import { noteTrouble } from './refused.ts';
import { reportToServer } from './report.ts';
import { stateBytes, stateBytesMaxDefault, takeSnapshot } from './snapshot.ts';

/** The steps of a switch that goes well: from the sealed slot to the commit. */

/** More than `.committed` can have: it holds no more than the record does. */
const markBytes = 8 * 1024;

function word(status: string | { readonly raw: string }): CheckStatus {
  return status === 'ok' || status === 'warn' || status === 'fail' ? status : 'unknown';
}

/**
 * Waits for the window where somebody has to be asked: a healthy agent does its work, so an update of it waits; a dead
 * one, a file and a person do not. Then the baseline is taken.
 */
export async function awaitWindow(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  const { layout, files, processes } = appliance;
  try {
    const ended = sealAndProve(appliance, state, memory);
    if (ended !== null) return ended;
    // The agent's state may have grown since: without room for its copy the agent is not even stopped.
    const snapped = stateBytes(files, layout, stateBytesMaxDefault);
    if (transaction.component !== 'os')
      reserveSpace({ files, layout, tx: transaction.tx, log: appliance.log }, { snapped });
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    // A disk that refuses (ENOSPC, EROFS, EIO) is told of; the next run tries again.
    noteTrouble(appliance, transaction.tx, `${error.message} (${error.code})`);
    await reportToServer(appliance, state, memory, { fresh: false });
    return { kind: 'nothing' };
  }
  await reportToServer(appliance, state, memory, { fresh: false });
  if ((await processes.agent()).state === 'inactive') await processes.startAgent();
  const { answer } = await readHealth(layout.agentSocket);
  const healthy = answer !== null && answer.nonce === currentNonce(files, layout);
  if (transaction.waits && healthy) {
    const { desired } = loadRemembered(files, layout);
    if (desired !== null && desired.release?.manifest !== transaction.manifest) {
      return refuse(
        appliance,
        state,
        'superseded',
        `${transaction.version} is not wanted any more: a newer decision came`,
      );
    }
    if (desired === null || desired.openForS <= 0) return { kind: 'nothing' };
  }
  if (!healthy) return { kind: 'clear', baseline: null, baselineServer: 'unknown' };
  const baseline = Object.fromEntries(Object.entries(answer.checks).map(([name, status]) => [name, word(status)]));
  return { kind: 'clear', baseline, baselineServer: word(answer.server) };
}

/** @returns how the transaction ends here; null: the slot is whole */
function sealAndProve(appliance: Appliance, state: StateBody, memory: RunMemory): MachineEvent | null {
  const transaction = transactionOf(state);
  if (transaction.component === 'os') return keepDeviceSlot(appliance, state, transaction, memory);
  if (transaction.slot === null) throw new RangeError('no slot to switch to');
  const { layout, files } = appliance;
  const { tx, component, slot, manifest } = transaction;
  const unsealed = readSeal(files, layout.slot(component, slot)) === null;
  const kept = unsealed ? keptManifest(files, layout, tx, manifest) : null;
  if (kept !== null) sealSlot({ files, layout, slot, ...kept });
  // The full hash, once more and as late as it can be: what was sealed may have rotted while it waited. What this very
  // run wrote and read back did not wait.
  const isFresh = memory.written?.tx === tx && memory.written.manifest === manifest;
  const proven = isFresh ? null : verifyInstalled(files, layout, component, slot, manifest);
  if (proven !== null && !proven.sound) {
    const text = `slot ${slot} is not what was sealed: ${proven.reason} at ${proven.path}`;
    return refuse(appliance, state, 'slot-damaged', text);
  }
  return null;
}

function refuse(appliance: Appliance, state: StateBody, reason: string, text: string): MachineEvent {
  const transaction = transactionOf(state);
  recordOutcome(appliance, state, transaction, { outcome: 'refused', reason, text, downMs: null, revertedMs: null });
  return { kind: 'refused' };
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
    takeSnapshot(files, layout, tx, stateBytesMaxDefault, settings.agentUser);
    tidyAgentPlaces(appliance);
    return { kind: 'snapshot-done' };
  } catch (error) {
    // What the disk refuses (ENOSPC, EROFS, EIO) must not stop and start a healthy agent without end.
    if (!(error instanceof Error && 'code' in error)) throw error;
    appliance.log(`the state can not be copied: ${error.message}`);
    return { kind: 'snapshot-failed' };
  }
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
  const { from, text } = describe(state);
  appliance.log(text);
  recordOutcome(appliance, state, transaction, {
    outcome: 'committed',
    reason: null,
    text: `${from} → ${transaction.version}: ${text}`,
    downMs: transaction.downMs,
    revertedMs: null,
  });
  const agent = await agentFacts(appliance);
  if (agent !== null) forgetCrashes(appliance, agent);
  pruneSnapshots(appliance, transaction.tx);
  return { kind: 'committed' };
}

function describe(state: StateBody): { from: string; text: string } {
  const { kind, component, version } = transactionOf(state);
  const from = component === 'os' ? '' : state[component].committed.version;
  return { from, text: kind === 'return' ? `went back to ${version}` : `${version} passed its trial` };
}

/** The snapshot of the newest switch is kept for going back; those before it are not needed any more. */
function pruneSnapshots(appliance: Appliance, tx: number): void {
  const { files, layout } = appliance;
  for (const name of files.list(layout.snapshots)) {
    if (name !== String(tx)) files.removeTree(join(layout.snapshots, name));
  }
  if (files.stat(layout.snapshots) !== null) files.syncDirectory(layout.snapshots);
}
