import { mkdirSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { keepArmedState } from '../../../updater/appliance/armed-state.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { events, updaterUpdate } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

/** What is kept of the record for the trial of an updater is nothing that anybody needs without one. */
let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  for (const records of [layout.stateRecords, layout.launchRecords])
    createRecordFiles(realFiles, records, layout.updater);
  mkdirSync(layout.requests, { recursive: true });
});

const { closed, take } = updaterUpdate;
const sealed = [take, events.resolved, events.fetched, events.written].reduce(
  (state: StateBody, event) => next(state, event),
  closed,
);
const armed = next(sealed, events.probed);

/** The record as it was kept for that trial, and then a run that finds this. */
async function runFinding(found: StateBody): Promise<StateBody['row']> {
  saveState(realFiles, layout, found);
  const { appliance } = testAppliance(layout);
  keepArmedState(appliance, armed);
  await runUpdater(appliance, loadState(realFiles, layout), false);
  return loadState(realFiles, layout).row;
}
const isKept = () => realFiles.stat(layout.armedState) !== null;

describe('the record that was kept for the trial of an updater', () => {
  it('stays while that may be put back', async () => {
    expect(await runFinding(armed)).toBe('armed');
    expect(isKept()).toBe(true);
  });

  it('goes with a transaction that is given up between its probe and its trial', async () => {
    // Nothing is in its slot any more.
    expect(await runFinding(sealed)).toBe('idle');
    expect(isKept()).toBe(false);
  });

  it('goes where an earlier run left it, and nothing is under way', async () => {
    expect(await runFinding(closed)).toBe('idle');
    expect(isKept()).toBe(false);
  });
});
