import { z } from 'zod';
import { type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { MachineEvent } from '../machine-event.ts';
import { looksSealed, type SlotVerdict, verifyInstalled } from '../release/verify-slot.ts';

/** Is what runs still what was proven? The quick look in each run, every byte once after a boot and then daily. */

const dayMs = 24 * 60 * 60_000;
/** In run/: a new boot looks anew. */
const provenShape = z.object({ manifest: z.string(), slot: z.string(), atMs: z.number() });

function provenPath({ layout }: Appliance): string {
  return `${layout.run}/proven.json`;
}

/** A disk that does not give the bytes of a slot back has not kept it. */
export function asVerdict(look: () => SlotVerdict): SlotVerdict {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return { sound: false, reason: 'wrong-content', path: String(error.code) };
  }
}

/** @returns why the committed version can not be trusted to start; null: nothing is wrong, as far as was looked */
export function lookAtCommitted(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { files, layout, clock } = appliance;
  const { slot, manifest } = state.app.committed;
  const quick = asVerdict(() => looksSealed(files, layout.slot('app', slot)));
  if (!quick.sound) return damaged(appliance, state, quick);
  const parsed = provenShape.safeParse(readJson(files, provenPath(appliance), 1_000));
  const known = parsed.success && parsed.data.manifest === manifest && parsed.data.slot === slot ? parsed.data : null;
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
  const text = `${reason} at ${path} in slot ${app.committed.slot}`.slice(0, safeTextMax);
  appliance.log(`${app.committed.version} is damaged: ${text}`);
  return { kind: 'damaged', safe: { reason: 'slot-damaged', tx: 0, text } };
}
