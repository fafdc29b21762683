import type { SlotName } from '../../protocol/component.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { Found } from '../outcome/outcome.ts';
import { deviceSlotsOf } from '../release/device-slots.ts';
import { keptManifest } from '../release/resolve-release.ts';
import { readSeal, type SlotVerdict, verifyDeviceSlot } from '../release/verify-slot.ts';
import { sealSlot } from '../release/write-slot.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { transactionTexts } from '../words/texts.ts';
import { rolledBack } from './rolled-back.ts';
import { refused, sealedOrWhyNot } from './sealed.ts';

/** The slot that does not run. @throws ReleaseError `incompatible`: this appliance has no slot that can be written */
export function freeDeviceSlot({ settings }: Appliance): SlotName {
  if (settings.os === null) throw new ReleaseError('incompatible', transactionTexts.noOsSlots);
  return settings.os.running === '0' ? '1' : '0';
}

/**
 * The end of an os transaction when nothing can switch to the slot: it is sealed and proven, and reported as written,
 * not as installed.
 */
export async function keepWritten(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<Found> {
  return sealedOrWhyNot(appliance, state, () => keepDeviceSlot(appliance, state, memory));
}

function keepDeviceSlot(appliance: Appliance, state: StateBody, memory: RunMemory): Found {
  const { files, layout, settings } = appliance;
  const transaction = transactionOf(state);
  const { tx, slot, manifest, version } = transaction;
  const device = slot === null ? undefined : deviceSlotsOf(layout, settings.os).get(layout.slot('os', slot));
  if (slot === null || device === undefined || settings.os === null || slot === settings.os.running) {
    return damaged(appliance, transactionTexts.osSlotNotWritable(slot));
  }
  const directory = layout.slot('os', slot);
  const kept = readSeal(files, directory) === null ? keptManifest(files, layout, tx, manifest) : null;
  if (kept !== null) sealSlot({ files, layout, slot, ...kept });
  // What this run wrote and read back moments ago is not read again.
  const isFresh = memory.written?.tx === tx && memory.written.manifest === manifest;
  const verdict: SlotVerdict | null = isFresh ? null : verifyDeviceSlot(files, directory, device, manifest);
  if (verdict !== null && !verdict.sound) {
    const text = transactionTexts.osSlotNotWritten(slot, verdict.reason, verdict.path);
    return damaged(appliance, text);
  }
  const runs = settings.os.running;
  const text = transactionTexts.osWritten(version, slot, runs);
  appliance.log(text);
  return { kind: 'kept', end: { outcome: 'written', reason: null, text, downMs: null, revertedMs: null } };
}

function damaged(appliance: Appliance, text: string): Found {
  appliance.log(text);
  return refused('slot-damaged', text);
}

/** Reverts what a newer updater had armed and left: the agent was not touched for it. */
export async function revertDevice(appliance: Appliance, state: StateBody): Promise<Found> {
  return rolledBack(appliance, state);
}
