import { existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import {
  putAsideDirectory,
  quarantineDirectory,
  snapshotDirectory,
  takeSnapshot,
} from '../../../updater/agent-data/snapshot.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { readHistory } from '../../../updater/outcome/history.ts';
import { ageTrials, keptOf, trialsKeptDays } from '../../../updater/outcome/kept-trials.ts';
import { recordEnd } from '../../../updater/outcome/outcome.ts';
import { putBack } from '../../../updater/transaction/put-back.ts';
import { revert } from '../../../updater/transaction/revert.ts';
import { commit } from '../../../updater/transaction/switch.ts';
import { closeWindow } from '../../../updater/transaction/window.ts';
import {
  bytesMax,
  type Digests,
  digestsIn,
  hourMs,
  named,
  RewrittenAppliance,
  returned,
  rows,
  state,
  switched,
} from '../support/rewritten-appliance.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { rowsIn } from '../support/state-database.ts';
import { digestOf, events } from '../support/states.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { cutAt, PowerCut, recordFiles, systemError, withOperations } from '../support/wrapped-files.ts';

let layout: Layout;
let before: Digests;
let today: Digests;
let scene: RewrittenAppliance;
beforeEach(() => {
  scene = new RewrittenAppliance();
  ({ layout, before, today } = scene);
});

const put = (from: StateBody, files: Files = realFiles) => putBack({ ...testAppliance(layout).appliance, files }, from);

describe('the row returning', () => {
  it('puts the data of before where the agent finds it, and loses nothing of today', () => {
    const from = scene.returning();
    expect(put(from)).toEqual({ kind: 'data-back' });
    expect(digestsIn(layout.agent)).toEqual(before);
    expect(rowsIn(layout.stateDb)).toBe(rows);
    expect(digestsIn(quarantineDirectory(layout, switched))).toEqual(today);
    expect(digestsIn(snapshotDirectory(layout, returned))).toEqual(today);
  });

  it('needs no file to be written (I11)', () => {
    const from = scene.returning();
    const { files, lines } = recordFiles();
    put(from, files);
    const growing = new Set(['create', 'write', 'openWrite', 'makeDirectory', 'link']);
    const made = lines.filter((line) => growing.has(line.split(' ')[0] ?? ''));
    expect(made.filter((line) => line !== `makeDirectory ${quarantineDirectory(layout, switched)}`)).toEqual([]);
  });

  it('is repeated after a cut at any operation, and ends the same (I8)', () => {
    const from = scene.returning();
    for (let n = 1; n < 400; n += 1) {
      try {
        put(from, cutAt(n).files);
        expect(n).toBeGreaterThan(20);
        expect(digestsIn(layout.agent)).toEqual(before);
        return;
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
    }
    expect.unreachable('it never ended');
  });

  it('moves nothing where a part of today could not be copied: it would not come back', () => {
    const from = scene.returning();
    rmSync(layout.agentSettings);
    symlinkSync('/etc/passwd', layout.agentSettings);
    takeSnapshot(realFiles, layout, returned, bytesMax, null, 2);
    const { files, lines } = recordFiles();
    expect(put(from, files)).toMatchObject({ kind: 'failed', reason: 'inconclusive' });
    expect(lines.filter((line) => line.startsWith('rename'))).toEqual([]);
  });

  it.each([
    ['a byte of it is another one', () => writeFileSync(scene.inCopy('agent.json'), `{"site_name":"NORTH"}\n`)],
    ['its index is gone', () => rmSync(scene.inCopy('done.json'))],
  ])('ends with the data of today where it cannot be done: %s', async (_what, change) => {
    const from = scene.returning();
    change();
    const event = put(from);
    expect(event).toMatchObject({ kind: 'failed', reason: 'inconclusive' });
    const failed = next(from, event);
    expect(await revert(testAppliance(layout).appliance, failed)).toMatchObject({
      kind: 'reverted',
      end: { outcome: 'rolled-back' },
    });
    expect(digestsIn(layout.agent)).toEqual(today);
  });

  it('ends so on a disk that refuses, too', async () => {
    const from = scene.returning();
    const refuses = (path: string, to: string) => {
      if (to.endsWith('/agent.json')) throw systemError('EIO');
      realFiles.rename(path, to);
    };
    const event = put(from, withOperations({ rename: refuses }));
    expect(event).toMatchObject({ kind: 'failed', text: expect.stringContaining('EIO') });
    expect(await revert(testAppliance(layout).appliance, next(from, event))).toMatchObject({
      kind: 'reverted',
      end: { outcome: 'rolled-back' },
    });
    expect(digestsIn(layout.agent)).toEqual(today);
  });
});

describe('when the version that was gone back to fails its trial', () => {
  it('the data of today is back, byte for byte, and the used copy is no way back any more', async () => {
    const from = scene.returning();
    put(from);
    writeFileSync(layout.agentSettings, '{"site_name":"of the trial"}\n');
    const ofTrial = digestsIn(layout.agent);
    const failed = next(next(next(from, events['data-back']), events.started), events.failed);
    expect(await revert(testAppliance(layout).appliance, failed)).toMatchObject({
      kind: 'reverted',
      end: { outcome: 'rolled-back' },
    });
    expect(digestsIn(layout.agent)).toEqual(today);
    expect(digestsIn(quarantineDirectory(layout, returned))).toEqual(ofTrial);
    expect(existsSync(snapshotDirectory(layout, switched))).toBe(false);
    const after = next(failed, events.reverted);
    expect(scene.ask(named, after)).toMatchObject({ outcome: 'refused', code: 'state-not-readable' });
    // Once more changes nothing.
    await revert(testAppliance(layout).appliance, failed);
    expect(digestsIn(layout.agent)).toEqual(today);
  });
});

describe('when it is committed', () => {
  async function committed() {
    const from = scene.returning();
    put(from);
    const way = ['data-back', 'started', 'passed'] as const;
    const committing = way.reduce((at, kind) => next(at, events[kind]), from);
    const box = testAppliance(layout);
    recordEnd(box.appliance, committing, await commit(box.appliance, committing));
    return { ...box, committing, after: next(committing, events.committed) };
  }

  it('what was stored since is put aside, and history and why say where', async () => {
    const { appliance, after } = await committed();
    const place = putAsideDirectory(layout, switched);
    expect(digestsIn(place)).toEqual(today);
    expect(digestsIn(layout.agent)).toEqual(before);
    expect(readHistory(realFiles, layout).at(-1)?.text).toContain(place);
    expect(keptOf(appliance, after.quarantine.at(-1))).toContain(place);
    expect(after.quarantine).toMatchObject([{ version: '1.0.49', reason: 'by hand' }]);
  });

  it('may be repeated', async () => {
    const { appliance, committing } = await committed();
    recordEnd(appliance, committing, await commit(appliance, committing));
    expect(digestsIn(putAsideDirectory(layout, switched))).toEqual(today);
  });

  it('what was put aside outlives the window and later commits, and goes by its age', async () => {
    const { appliance, clock, after } = await committed();
    closeWindow(appliance, { ...after, row: 'closing' });
    expect(realFiles.list(layout.snapshots)).toEqual([String(switched)]);
    const update = [
      'take',
      'resolved',
      'fetched',
      'written',
      'clear',
      'agent-gone',
      'snapshot-done',
      'started',
      'passed',
    ];
    const later = update.reduce((at, kind) => next(at, events[kind as 'take']), after);
    realFiles.makeDirectory(layout.slot('app', later.transaction?.slot ?? ''), 0o755);
    await commit(appliance, later);
    expect(digestsIn(putAsideDirectory(layout, switched))).toEqual(today);
    for (let hour = 0; hour <= trialsKeptDays * 24; hour += 1) {
      ageTrials(appliance);
      clock.nowMs += hourMs;
    }
    expect(realFiles.list(layout.snapshots)).toEqual([]);
  });

  it('there is no way back to the copy that was used', async () => {
    const { after } = await committed();
    const told = scene.ask({ tx: switched, ageH: 0 }, after);
    expect(told.event).toBeNull();
  });
});

describe('after a return that kept the data', () => {
  it('nothing of before the update can be put back', async () => {
    sealedSlot(layout, 'app', '0', {
      version: '1.0.48',
      manifest: digestOf('a'),
      state: { reads: { min: 1, max: 2 }, writes: 1 },
    });
    const { event } = scene.ask();
    if (event === null) throw new Error('it was refused');
    const way = ['clear', 'agent-gone', 'snapshot-done', 'started', 'passed'] as const;
    const committing = way.reduce((at, kind) => next(at, events[kind]), next(state, event));
    takeSnapshot(realFiles, layout, returned, bytesMax, null, 2);
    await commit(testAppliance(layout).appliance, committing);
    expect(realFiles.list(layout.snapshots)).toEqual([String(returned)]);
    const after = next(committing, events.committed);
    expect(scene.ask({ tx: switched, ageH: 0 }, after).event).toBeNull();
  });
});
