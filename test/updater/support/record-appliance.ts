import { readFileSync } from 'node:fs';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { type Status, statusShape } from '../../../protocol/status.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';

/** Puts a state on the disk of an appliance, as setup and the loop leave it. */
export function saveFirstState(layout: Layout, state: StateBody): void {
  for (const records of [layout.stateRecords, layout.launchRecords])
    createRecordFiles(realFiles, records, layout.updater);
  realFiles.makeDirectory(layout.run, 0o755);
  saveState(realFiles, layout, state);
}

export function stateOn(layout: Layout): StateBody {
  return loadState(realFiles, layout);
}

export function statusOn(layout: Layout): Status {
  return statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));
}
