import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { EventInput } from '../../../protocol/event.ts';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { transactionOf } from '../../../updater/machine/transaction.ts';
import { recordOutcome } from '../../../updater/outcome/outcome.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { events, idleState, stateIn } from '../support/states.ts';
import { StickBox } from '../support/stick-box.ts';
import { testAppliance } from '../support/test-appliance.ts';

let box: StickBox;
let layout: Layout;
beforeEach(async () => {
  box = await StickBox.make();
  ({ layout } = box);
});

const outcomes = (events: readonly EventInput[]) => events.filter(({ release }) => release !== undefined);

/** One run that takes a release of a stick, for which there is no room: it ends as refused. */
async function refusedRun(): Promise<EventInput[]> {
  const appliance = box.appliance({ ...realFiles, freeBytes: () => 1 });
  await runUpdater(appliance, loadState(realFiles, layout), false);
  return outcomes(appliance.events.next());
}

describe('the event of a transaction', () => {
  it('has another id after the disk was put back, though its number and its release are the same', async () => {
    const backup = mkdtempSync(join(tmpdir(), 'hf-backup-'));
    onTestFinished(() => rmSync(backup, { recursive: true, force: true }));
    mkdirSync(layout.run, { recursive: true });
    const release = await box.build('1.0.54');
    box.put(release);
    cpSync(layout.updater, backup, { recursive: true });
    const [first, ...more] = await refusedRun();
    expect([first?.kind, more]).toEqual(['note', []]);
    // And a boot: what lies in memory is gone.
    for (const path of [layout.updater, layout.run]) rmSync(path, { recursive: true });
    mkdirSync(layout.run);
    cpSync(backup, layout.updater, { recursive: true });
    const [second] = await refusedRun();
    expect([second?.release?.tx, second?.release?.manifest]).toEqual([first?.release?.tx, release.manifest]);
    expect(second?.id).not.toBe(first?.id);
  });

  it('is one however often its step is repeated, and another one for another transaction of the same number', () => {
    const state = stateIn('reverting');
    const end = { outcome: 'rolled-back', reason: 'stalled', text: 'x', downMs: null, revertedMs: null } as const;
    const named = (id: string | undefined): StateBody => ({
      ...state,
      transaction: { ...transactionOf(state), ...(id === undefined ? {} : { id }) },
    });
    const { appliance } = testAppliance(layout);
    for (const id of ['a', 'a', 'b', 'a', undefined, undefined]) {
      recordOutcome(appliance, named(id), transactionOf(named(id)), end);
    }
    expect(appliance.events.next()).toHaveLength(3);
  });

  it('keeps its id in the record until it ends', () => {
    let state = next(idleState(), { ...events.take, id: 'one' });
    for (const kind of ['resolved', 'fetched', 'written', 'clear', 'agent-gone', 'snapshot-done', 'failed'] as const) {
      state = next(state, events[kind]);
      saveState(realFiles, layout, state);
      expect(loadState(realFiles, layout).transaction?.id).toBe('one');
    }
    const back = next(idleState(), { ...events.return, id: 'two' });
    expect(back.transaction?.id).toBe('two');
  });
});
