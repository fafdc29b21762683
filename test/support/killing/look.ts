import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SlotName } from '../../../protocol/component.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { type Status, statusShape } from '../../../protocol/status.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { loadState } from '../../../updater/record/state-store.ts';
import { readSeal, verifyInstalled } from '../../../updater/release/verify-slot.ts';
import type { ApplianceBox } from '../world/appliance-box.ts';
import type { World } from '../world/world.ts';

/** An appliance as a test sees it on its disk and at its server. */

export function stateOf(box: ApplianceBox): StateBody {
  return loadState(realFiles, box.layout);
}

/** What `holdfast-updater status --json` prints, without starting it. */
export function statusOf(box: ApplianceBox): Status {
  return statusShape.parse(JSON.parse(readFileSync(box.layout.status, 'utf8')));
}

/** Asks as a person does: what `holdfast-updater rollback`, `retry` and `install` leave for the updater. */
export function askUpdater(
  box: ApplianceBox,
  wanted:
    | { kind: 'rollback'; data?: { tx: number; ageH: number } }
    | { kind: 'retry'; manifest?: string }
    | { kind: 'install'; file: string },
): string {
  const id = randomUUID();
  const path = join(box.layout.requests, id);
  writeFileSync(`${path}.tmp`, JSON.stringify({ v: 1, id, ...wanted }), { mode: 0o600 });
  renameSync(`${path}.tmp`, `${path}.json`);
  return id;
}

/** As the agent does: process control starts the updater soon, without waiting for its timer. */
export function wakeUpdater(box: ApplianceBox): void {
  const now = new Date();
  utimesSync(box.layout.hint, now, now);
}

/** Every slot that says by its seal that it is whole, and is not: `slot: reason at path`. */
export function halfWritten(box: ApplianceBox): string[] {
  const slots: readonly SlotName[] = ['0', '1', '2', 'factory'];
  return slots.flatMap((slot) => {
    if (readSeal(realFiles, box.layout.slot('app', slot)) === null) return [];
    const found = verifyInstalled(realFiles, box.layout, 'app', slot);
    return found.sound ? [] : [`${slot}: ${found.reason} at ${found.path}`];
  });
}

/** What must be launchable whatever happens to an update: the committed slot, byte for byte (I1). */
export function isCommittedSound(box: ApplianceBox): boolean {
  const { committed } = stateOf(box).app;
  return verifyInstalled(realFiles, box.layout, 'app', committed.slot, committed.manifest).sound;
}

/** Numbers of events of one program that the server lacks below its newest one: what a kill lost. */
export async function lostEvents(world: World, name: string, role: 'agent' | 'updater'): Promise<number[]> {
  const numbers = new Set((await world.server.events(name)).filter((one) => one.role === role).map(({ n }) => n));
  const newest = Math.max(0, ...numbers);
  return Array.from({ length: newest }, (_, index) => index + 1).filter((n) => !numbers.has(n));
}
