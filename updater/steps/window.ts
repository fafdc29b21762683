import { join } from 'node:path';
import { z } from 'zod';
import { committedName, committedShape, sealName } from '../../protocol/seal.ts';
import type { Installed, StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { MachineEvent } from '../machine-event.ts';
import { isPutAside } from './kept-trials.ts';

/** The rollback window: for how long the version before the commit is kept, and how that ends. */

/** Kept in run/: only time that this boot's runs saw one after the other counts. */
const lookShape = z.object({ boot: z.string(), committed: z.string(), atMs: z.number(), unsavedMs: z.number() });
const markBytesMax = 256 * 1024;
/** The record is written for this much new time, not at every run. */
const saveEveryMs = 10 * 60_000;

function lookPath(appliance: Appliance): string {
  return join(appliance.layout.run, 'window.json');
}

/** Time of running since the commit, as far as anybody saw it: what is in the record, and what is not saved yet. */
export function windowAgeMs({ files, layout, clock }: Appliance, { app, windowUsedMs }: StateBody): number {
  const look = lookShape.safeParse(readJson(files, join(layout.run, 'window.json'), 1_000)).data;
  if (look?.boot !== clock.bootId() || look.committed !== app.committed.manifest) return windowUsedMs;
  return windowUsedMs + look.unsavedMs + Math.max(0, clock.monoMs() - look.atMs);
}

/** Adds the time since the run before. @returns what the machine has to know of it; null: nothing yet */
export function countWindow(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { files, clock, settings } = appliance;
  if (state.row !== 'idle' || state.app.previous === null) return null;
  const parsed = lookShape.safeParse(readJson(files, lookPath(appliance), 1_000));
  // Each commit opens a window of its own: what was not saved yet of the one before is not carried into it.
  const now = { boot: clock.bootId(), committed: state.app.committed.manifest, atMs: clock.monoMs() };
  const goesOn = parsed.success && parsed.data.boot === now.boot && parsed.data.committed === now.committed;
  const before = goesOn ? parsed.data : { ...now, unsavedMs: 0 };
  const unsavedMs = before.unsavedMs + Math.max(0, now.atMs - before.atMs);
  const usedMs = Math.round(state.windowUsedMs + unsavedMs);
  const hasEnded = usedMs >= settings.rollbackWindowMs;
  const isWorthSaving = unsavedMs >= saveEveryMs;
  replaceJson(files, lookPath(appliance), { ...now, unsavedMs: isWorthSaving || hasEnded ? 0 : unsavedMs }, 0o600);
  if (hasEnded) return { kind: 'window-ended' };
  return isWorthSaving ? { kind: 'window-time', usedMs } : null;
}

/** The floor that rises with the end of the window, also where the records may be lost later. */
function raiseMarkedFloor({ files, layout }: Appliance, { slot, securityVersion }: Installed): void {
  const path = join(layout.slot('app', slot), committedName);
  const mark = committedShape.safeParse(readJson(files, path, markBytesMax));
  if (!mark.success || mark.data.floor.app >= securityVersion) return;
  const raised = { ...mark.data, floor: { ...mark.data.floor, app: securityVersion } };
  // The record has it too: this one counts where the records are lost.
  whereThereIsRoom(() => replaceJson(files, path, raised, 0o644));
}

/** The previous version loses its seal, so that nothing can launch it; then its snapshot goes. The floor rises after that. */
export function closeWindow(appliance: Appliance, state: StateBody): MachineEvent {
  const { files, layout } = appliance;
  const { previous, committed } = state.app;
  raiseMarkedFloor(appliance, committed);
  if (previous !== null && previous.slot !== 'factory') {
    const directory = layout.slot('app', previous.slot);
    files.unlink(join(directory, sealName));
    files.syncDirectory(directory);
  }
  for (const name of files.list(layout.snapshots))
    if (!isPutAside(files, layout, name)) files.removeTree(join(layout.snapshots, name));
  if (files.stat(layout.snapshots) !== null) files.syncDirectory(layout.snapshots);
  return { kind: 'closed' };
}
