import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import { ReleaseError } from '../release/release-error.ts';
import { keptManifest } from '../release/resolve-release.ts';
import { readSeal, verifyInstalled } from '../release/verify-slot.ts';
import { sealSlot } from '../release/write-slot.ts';
import { transactionOf } from '../transitions.ts';
import { keepDeviceSlot } from './os-slot.ts';
import { recordOutcome } from './outcome.ts';
import { noteTrouble } from './refused.ts';
import { reportToServer } from './report.ts';
import { hasRequest } from './request-name.ts';

/** What a written slot of any component waits for: its seal, its full hash, and the server's word. */

/**
 * Seals the slot where that is left to do, and reads every byte of it.
 * @param more what else must be there before anything is switched
 * @returns why it goes no further now; null: the slot is whole
 */
export async function sealedOrWhyNot(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  more: (transaction: Transaction) => void,
): Promise<MachineEvent | null> {
  const transaction = transactionOf(state);
  try {
    const ended = sealAndProve(appliance, state, memory);
    if (ended === null) more(transaction);
    return ended;
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    // A disk that refuses (ENOSPC, EROFS, EIO) is told of; the next run tries again.
    noteTrouble(appliance, transaction.tx, `${error.message} (${error.code})`);
    await reportToServer(appliance, state, memory, { fresh: false });
    return { kind: 'nothing' };
  }
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

/** @returns how it ends, because the server wants another one by now; null: as far as is known, it still wants this one */
export function supersededByServer(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { manifest, version } = transactionOf(state);
  const { desired } = loadRemembered(appliance.files, appliance.layout);
  if (desired === null || desired.release?.manifest === manifest) return null;
  return refuse(appliance, state, 'superseded', `${version} is not wanted any more: a newer decision came`);
}

/**
 * What an updater waits for: the window, but no agent, because none is stopped for it.
 * @returns why it does not go on now; null: it may
 */
export function heldByServer(appliance: Appliance, state: StateBody): MachineEvent | null {
  const superseded = supersededByServer(appliance, state);
  if (superseded !== null) return superseded;
  const openForS = loadRemembered(appliance.files, appliance.layout).desired?.openForS ?? 0;
  if (openForS > 0) return null;
  // A person goes first.
  return { kind: hasRequest(appliance) ? 'refused' : 'nothing' };
}

export function refuse(appliance: Appliance, state: StateBody, reason: string, text: string): MachineEvent {
  const transaction = transactionOf(state);
  recordOutcome(appliance, state, transaction, { outcome: 'refused', reason, text, downMs: null, revertedMs: null });
  return { kind: 'refused' };
}
