import { join } from 'node:path';
import { committedName, committedShape, sealName } from '../../protocol/seal.ts';
import type { Installed, StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { lookPath, lookShape } from '../choice/window-age.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import type { MachineEvent } from '../machine/event.ts';
import { isPutAside } from '../outcome/kept-trials.ts';

/** The rollback window: how long the version before the commit is kept, and how that ends. */

const markBytesMax = 256 * 1024;
/** The record is written once per this much new time, not at every run. */
const saveEveryMs = 10 * 60_000;

/** Adds the time since the previous run. @returns what the machine has to know about it; null: nothing yet */
export function countWindow(appliance: Appliance, state: StateBody): MachineEvent | null {
  const { files, clock, settings } = appliance;
  if (state.row !== 'idle' || state.app.previous === null) return null;
  const known = readKept(files, lookPath(appliance), 1_000, lookShape);
  // Each commit opens its own window: unsaved time of the previous window is not carried over.
  const now = { boot: clock.bootId(), committed: state.app.committed.manifest, atMs: clock.monoMs() };
  const goesOn = known !== null && known.boot === now.boot && known.committed === now.committed;
  const before = goesOn ? known : { ...now, unsavedMs: 0 };
  const unsavedMs = before.unsavedMs + Math.max(0, now.atMs - before.atMs);
  const usedMs = Math.round(state.windowUsedMs + unsavedMs);
  const hasEnded = usedMs >= settings.rollbackWindowMs;
  const isWorthSaving = unsavedMs >= saveEveryMs;
  replaceJson(files, lookPath(appliance), { ...now, unsavedMs: isWorthSaving || hasEnded ? 0 : unsavedMs }, 0o600);
  if (hasEnded) return { kind: 'window-ended' };
  return isWorthSaving ? { kind: 'window-time', usedMs } : null;
}

/** Raises the floor in the mark too, in case the records are lost later. */
function raiseMarkedFloor({ files, layout }: Appliance, { slot, securityVersion }: Installed): void {
  const path = join(layout.slot('app', slot), committedName);
  const mark = readKept(files, path, markBytesMax, committedShape);
  if (mark === null || mark.floor.app >= securityVersion) return;
  const raised = { ...mark, floor: { ...mark.floor, app: securityVersion } };
  // The record has this floor too; the mark counts when the records are lost.
  whereThereIsRoom(() => replaceJson(files, path, raised, 0o644));
}

/**
 * The previous version loses its seal, so that nothing can launch it; then its snapshot is removed. The floor rises
 * after that.
 */
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
