import { z } from 'zod';
import { type Safe, type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { MachineEvent } from '../machine-event.ts';
import { looksSealed, type SlotVerdict, verifyInstalled } from '../release/verify-slot.ts';
import { wayBack } from './acceptance.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { trialOf } from './requests.ts';
import { RestoreError, verifyRestored } from './restore.ts';
import { untilServes } from './revert.ts';
import { readSnapshot } from './snapshot.ts';

/** Is what runs still what was proven? The quick look in each run, every byte once after a boot and then daily. */

const dayMs = 24 * 60 * 60_000;
/** In run/: a new boot looks anew. */
const provenShape = z.object({ manifest: z.string(), slot: z.string(), atMs: z.number() });

function provenPath({ layout }: Appliance): string {
  return `${layout.run}/proven.json`;
}

/** A disk that does not give the bytes of a slot back has not kept it. */
function asVerdict(look: () => SlotVerdict): SlotVerdict {
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

/** What the updater does by itself in safe mode: out of it when all is whole again, or back to a version that is. */
export function lookForAWayOut(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { files, layout } = appliance;
  const { safe, app } = state;
  if (safe === null || isWholeAgain(appliance, state, safe)) return { kind: 'sound' };
  if (safe.reason !== 'slot-damaged') return null;
  const way = wayBack(appliance, state);
  if (way.kind !== 'open' || state.quarantine.some(({ manifest }) => manifest === way.previous.manifest)) return null;
  const { slot, manifest, version } = way.previous;
  if (!asVerdict(() => verifyInstalled(files, layout, 'app', slot, manifest)).sound) return null;
  appliance.log(`${app.committed.version} is damaged: going back to ${version}, which is whole`);
  return { kind: 'return', trial: trialOf(appliance, slot) };
}

function isWholeAgain({ files, layout }: Appliance, { app }: StateBody, { reason, tx }: Safe): boolean {
  const { slot, manifest } = app.committed;
  if (!asVerdict(() => verifyInstalled(files, layout, 'app', slot, manifest)).sound) return false;
  if (reason === 'slot-damaged') return true;
  const index = readSnapshot(files, layout, tx);
  if (index === null) return false;
  try {
    verifyRestored(files, layout, index);
    return true;
  } catch (error) {
    if (error instanceof RestoreError) return false;
    throw error;
  }
}

/** launch starts factory from here on; whatever runs now was started before. */
export async function enterSafe(appliance: Appliance, state: StateBody): Promise<void> {
  const { events, processes, clock } = appliance;
  const text = `safe mode: ${state.safe?.text ?? 'nothing proven can be started'}; the factory agent runs`;
  appliance.log(text);
  events.add(`safe ${clock.bootId()} ${state.lastTx}`, { kind: 'safe-mode', text });
  await processes.stopAgent();
  tidyAgentPlaces(appliance);
  await processes.startAgent();
}

/** The committed version takes over from the factory agent. */
export async function leaveSafe(appliance: Appliance): Promise<void> {
  appliance.log('what was damaged is whole again');
  await appliance.processes.stopAgent();
  await appliance.processes.startAgent();
  await untilServes(appliance);
}
