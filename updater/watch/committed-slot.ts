import { z } from 'zod';
import { type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import type { MachineEvent } from '../machine/event.ts';
import { looksInstalled, type SlotVerdict, verifyInstalled } from '../release/verify-slot.ts';
import { watchTexts } from '../words/texts.ts';

/** Is what runs still what was proven? The quick check in each run, every byte once after a boot and then daily. */

const dayMs = 24 * 60 * 60_000;
/** In run/: a new boot checks again. */
const provenShape = z.object({ manifest: z.string(), slot: z.string(), atMs: z.number() });

function provenPath({ layout }: Appliance): string {
  return `${layout.run}/proven.json`;
}

/** A disk that does not return the bytes of a slot has not kept them. */
export function asVerdict(look: () => SlotVerdict): SlotVerdict {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return { sound: false, reason: 'wrong-content', path: String(error.code) };
  }
}

/** @returns why the committed version cannot be trusted to start; null: nothing is wrong, as far as was checked */
export function lookAtCommitted(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { files, layout, clock } = appliance;
  const { slot, manifest } = state.app.committed;
  const quick = asVerdict(() => looksInstalled(files, layout, 'app', slot));
  if (!quick.sound) return damaged(appliance, state, quick);
  const proven = readKept(files, provenPath(appliance), 1_000, provenShape);
  const known = proven?.manifest === manifest && proven.slot === slot ? proven : null;
  const atMs = clock.monoMs();
  if (known !== null && atMs - known.atMs < dayMs) return null;
  const whole = asVerdict(() => verifyInstalled(files, layout, 'app', slot, manifest));
  if (!whole.sound) return damaged(appliance, state, whole);
  replaceJson(files, provenPath(appliance), { manifest, slot, atMs }, 0o600);
  return null;
}

function damaged(
  appliance: Appliance,
  { app }: StateBody,
  { reason, path }: Extract<SlotVerdict, { sound: false }>,
): MachineEvent {
  const place = path.startsWith('runtime/')
    ? watchTexts.runtimeOfSlot(app.committed.slot)
    : watchTexts.slot(app.committed.slot);
  const text = cut(watchTexts.damagedAt(reason, path, place), safeTextMax);
  appliance.log(watchTexts.slotDamaged(app.committed.version, text));
  return { kind: 'damaged', safe: { reason: 'slot-damaged', tx: 0, text } };
}
