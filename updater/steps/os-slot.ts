import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import type { MachineEvent } from '../machine-event.ts';
import { deviceSlotsOf } from '../release/device-slots.ts';
import { keptManifest } from '../release/resolve-release.ts';
import { readSeal, type SlotVerdict, verifyDeviceSlot } from '../release/verify-slot.ts';
import { sealSlot } from '../release/write-slot.ts';
import { recordOutcome } from './outcome.ts';

/**
 * The end of an os transaction where nothing can switch to the slot: it is sealed and proven, and that is said; nobody
 * calls it installed.
 */
export function keepDeviceSlot(
  appliance: Appliance,
  state: StateBody,
  transaction: Transaction,
  memory: RunMemory,
): MachineEvent {
  const { files, layout, settings } = appliance;
  const { tx, slot, manifest, version } = transaction;
  const device = slot === null ? undefined : deviceSlotsOf(layout, settings.os).get(layout.slot('os', slot));
  if (slot === null || device === undefined || settings.os === null || slot === settings.os.running) {
    return told(appliance, state, transaction, 'refused', `os slot ${slot} is not one that can be written here`);
  }
  const directory = layout.slot('os', slot);
  const kept = readSeal(files, directory) === null ? keptManifest(files, layout, tx, manifest) : null;
  if (kept !== null) sealSlot({ files, layout, slot, ...kept });
  // What this run wrote and read back moments ago is not read once more.
  const isFresh = memory.written?.tx === tx && memory.written.manifest === manifest;
  const verdict: SlotVerdict | null = isFresh ? null : verifyDeviceSlot(files, directory, device, manifest);
  if (verdict !== null && !verdict.sound) {
    const text = `os slot ${slot} is not what was written: ${verdict.reason} at ${verdict.path}`;
    return told(appliance, state, transaction, 'refused', text);
  }
  const runs = settings.os.running;
  const text = `os ${version} is in slot ${slot}, complete and verified; this machine goes on with slot ${runs}, because nothing here can switch its boot loader`;
  return told(appliance, state, transaction, 'written', text);
}

function told(
  appliance: Appliance,
  state: StateBody,
  transaction: Transaction,
  outcome: 'written' | 'refused',
  text: string,
): MachineEvent {
  appliance.log(text);
  const reason = outcome === 'refused' ? 'slot-damaged' : null;
  recordOutcome(appliance, state, transaction, { outcome, reason, text, downMs: null, revertedMs: null });
  return { kind: outcome === 'written' ? 'kept' : 'refused' };
}
