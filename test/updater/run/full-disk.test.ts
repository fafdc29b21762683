import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { type Layout, snapshotFiles } from '../../../protocol/layout.ts';
import { quarantineDirectory, takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { snapshot } from '../../../updater/transaction/switch.ts';
import { destructiveTrial, killedAgentState } from '../support/state-database.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  for (const records of [layout.stateRecords, layout.launchRecords])
    createRecordFiles(realFiles, records, layout.updater);
  killedAgentState(layout, 5);
});
const digests = () => snapshotFiles.map((name) => sha256(readFileSync(join(layout.agent, name))));

/** Nothing new can be made on the data partition; run/ is memory, and what is there can be written in place. */
function fullDisk() {
  const isOnDisk = (path: string) => !path.startsWith(layout.run);
  return withOperations({
    create: (path, mode) => {
      if (isOnDisk(path)) throw systemError('ENOSPC');
      return realFiles.create(path, mode);
    },
    makeDirectory: (path, mode) => {
      if (isOnDisk(path) && realFiles.stat(path) === null) throw systemError('ENOSPC');
      realFiles.makeDirectory(path, mode);
    },
  });
}

describe('on a full disk', () => {
  it('the state comes back and the version before is started again (I11)', async () => {
    const before = digests();
    takeSnapshot(realFiles, layout, 7, 1024 ** 2, null);
    destructiveTrial(layout);
    saveState(realFiles, layout, stateIn('reverting'));
    const { appliance, processes, lines } = testAppliance(layout, fullDisk());
    await runUpdater(appliance, stateIn('reverting'), false);
    expect(digests()).toEqual(before);
    expect(loadState(realFiles, layout)).toMatchObject({ row: 'idle', quarantine: [{ version: '1.0.52' }] });
    expect(processes.orders).toEqual(['stop', 'start']);
    expect(lines).toContain('there is no space for the evidence');
    // The server hears of it as long as this updater lives.
    expect(appliance.events.next()).toMatchObject([{ kind: 'release-rolled-back' }]);
  });

  it('a switch is given up before it begins, and the committed version runs on', async () => {
    const { appliance, processes } = testAppliance(layout, fullDisk());
    expect(snapshot(appliance, stateIn('snapped'))).toEqual({ kind: 'snapshot-failed' });
    expect(processes.orders).toEqual([]);
    expect(digests()).toHaveLength(3);
  });
});

describe('a rollback', () => {
  it('is reported once, with its reason and its evidence, however often it is repeated', async () => {
    takeSnapshot(realFiles, layout, 7, 1024 ** 2, null);
    for (let i = 0; i < 3; i += 1) {
      saveState(realFiles, layout, stateIn('reverting'));
      await runUpdater(testAppliance(layout).appliance, stateIn('reverting'), false);
    }
    const { appliance } = testAppliance(layout);
    const reports = appliance.events.next().filter(({ kind }) => kind === 'release-rolled-back');
    expect(reports).toMatchObject([{ release: { tx: 7, version: '1.0.52', from: '1.0.49', reason: 'stalled' } }]);
    const evidence: unknown = JSON.parse(readFileSync(join(layout.evidence, '7', 'verdict.json'), 'utf8'));
    expect(evidence).toMatchObject({ transaction: { tx: 7, failure: { reason: 'stalled' } } });
  });

  it('keeps the data of the last failed trials for people, and no more', async () => {
    const failed = async (tx: number) => {
      const state = stateIn('reverting');
      const reverting = { ...state, lastTx: tx, transaction: state.transaction && { ...state.transaction, tx } };
      takeSnapshot(realFiles, layout, tx, 1024 ** 2, null);
      destructiveTrial(layout);
      saveState(realFiles, layout, reverting);
      await runUpdater(testAppliance(layout).appliance, reverting, false);
    };
    // The snapshot of a commit is no trial's data: somebody may want to go back to it.
    takeSnapshot(realFiles, layout, 8, 1024 ** 2, null);
    for (const tx of [9, 10, 11, 12]) await failed(tx);
    expect(realFiles.list(layout.snapshots)).toEqual(['10', '11', '12', '8']);
    expect(realFiles.list(quarantineDirectory(layout, 10))).toContain('state.db');
  });
});
