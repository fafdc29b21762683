import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { hasRequest } from '../appliance/request-name.ts';
import { noteTrouble } from '../choice/refused.ts';
import type { EventOf } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { Found } from '../outcome/outcome.ts';
import { keptManifest } from '../release/resolve-release.ts';
import { readSeal, verifyInstalled } from '../release/verify-slot.ts';
import { sealSlot } from '../release/write-slot.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { transactionTexts } from '../words/texts.ts';

/** What a written slot of any component needs before a switch: its seal, its full hash, and the server's word. */

/**
 * @param prove seals the slot, checks that it is whole, and checks what else is needed before anything is switched
 * @returns what it returns; `nothing` when the disk refuses
 */
export function sealedOrWhyNot<T extends Found | null>(
  appliance: Appliance,
  state: StateBody,
  prove: () => T,
): T | EventOf<'nothing'> {
  try {
    return prove();
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    // A disk that refuses (ENOSPC, EROFS, EIO): the next run tries again.
    noteTrouble(appliance, transactionOf(state).tx, `${error.message} (${error.code})`);
    return { kind: 'nothing' };
  }
}

/**
 * Seals the slot if that is left to do, and reads every byte of it.
 * @returns how the transaction ends here; null: the slot is whole
 */
export function sealAndProve(appliance: Appliance, state: StateBody, memory: RunMemory): Found | null {
  const transaction = transactionOf(state);
  if (transaction.slot === null) throw new RangeError('no slot to switch to');
  const { layout, files } = appliance;
  const { tx, component, slot, manifest } = transaction;
  const unsealed = readSeal(files, layout.slot(component, slot)) === null;
  const kept = unsealed ? keptManifest(files, layout, tx, manifest) : null;
  if (kept !== null) sealSlot({ files, layout, slot, ...kept });
  // The full hash once more, as late as possible: a sealed slot may have rotted while it waited. What this run itself
  // wrote and read back did not wait.
  const isFresh = memory.written?.tx === tx && memory.written.manifest === manifest;
  const proven = isFresh ? null : verifyInstalled(files, layout, component, slot, manifest);
  if (proven !== null && !proven.sound) {
    const text = transactionTexts.slotNotSealed(slot, proven.reason, proven.path);
    return refused('slot-damaged', text);
  }
  return null;
}

/**
 * @returns how it ends, because the server now wants another release; null: as far as is known, it still wants this one
 */
export function supersededByServer(appliance: Appliance, state: StateBody): Found | null {
  const { manifest, version } = transactionOf(state);
  const { desired } = loadRemembered(appliance.files, appliance.layout);
  if (desired === null || desired.release?.manifest === manifest) return null;
  return refused('superseded', transactionTexts.noLongerWanted(version));
}

/**
 * What an updater waits for: the window. It does not wait for the agent, because the agent is not stopped for it.
 * @returns why it does not go ahead now; null: it may
 */
export function heldByServer(appliance: Appliance, state: StateBody): Found | null {
  const superseded = supersededByServer(appliance, state);
  if (superseded !== null) return superseded;
  const openForS = loadRemembered(appliance.files, appliance.layout).desired?.openForS ?? 0;
  if (openForS > 0) return null;
  // A person goes first.
  return { kind: hasRequest(appliance) ? 'refused' : 'nothing' };
}

export function refused(reason: string, text: string): Found {
  return { kind: 'refused', end: { outcome: 'refused', reason, text, downMs: null, revertedMs: null } };
}
