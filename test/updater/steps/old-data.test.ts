import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { type Layout, snapshotFiles } from '../../../protocol/layout.ts';
import { committedName } from '../../../protocol/seal.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { readHistory } from '../../../updater/history.ts';
import { next } from '../../../updater/machine.ts';
import { answerToRollback } from '../../../updater/steps/going-back.ts';
import { ageTrials, keptOf, trialsKeptDays } from '../../../updater/steps/kept-trials.ts';
import { putBack } from '../../../updater/steps/put-back.ts';
import { revert } from '../../../updater/steps/revert.ts';
import {
  putAsideDirectory,
  quarantineDirectory,
  snapshotDirectory,
  takeSnapshot,
} from '../../../updater/steps/snapshot.ts';
import { commit } from '../../../updater/steps/switch.ts';
import { closeWindow } from '../../../updater/steps/window.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { destructiveTrial, killedAgentState, rowsIn } from '../support/state-database.ts';
import { digestOf, events, idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { cutAt, PowerCut, recordFiles, systemError, withOperations } from '../support/wrapped-files.ts';

/** 1.0.49 rewrote the data five days ago, so that 1.0.48 can not read it any more; the copy of before is there. */
const hourMs = 60 * 60_000;
const bytesMax = 64 * 1024 * 1024;
const rows = 40;
const switched = 6;
const returned = 7;
const named = { tx: switched, ageH: 120 };
const state: StateBody = idleState({ windowUsedMs: 125 * hourMs });

let layout: Layout;
/** Digests of the files of the state, as they were before the switch and as they are today. */
let before: (string | null)[];
let today: (string | null)[];
const digestsIn = (directory: string) =>
  snapshotFiles.map((name) => {
    const path = join(directory, name);
    return existsSync(path) ? sha256(readFileSync(path)) : null;
  });
const inData = (name: string) => join(snapshotDirectory(layout, switched), name);

beforeEach(() => {
  layout = temporaryAppliance();
  realFiles.makeDirectory(layout.run, 0o755);
  const { committed, previous } = state.app;
  sealedSlot(layout, 'app', '0', { version: '1.0.48', manifest: previous?.manifest ?? '' });
  const reads = { reads: { min: 1, max: 2 }, writes: 2 };
  const slot = sealedSlot(layout, 'app', '1', { version: '1.0.49', manifest: committed.manifest, state: reads });
  const mark = {
    seq: 1,
    tx: switched,
    version: '1.0.49',
    manifest: committed.manifest,
    floor: state.floor,
    quarantine: [],
  };
  writeFileSync(join(slot, committedName), JSON.stringify(mark));
  killedAgentState(layout, rows);
  before = digestsIn(layout.agent);
  takeSnapshot(realFiles, layout, switched, bytesMax, null, 1);
  destructiveTrial(layout);
  today = digestsIn(layout.agent);
});

const ask = (data?: { tx: number; ageH: number }, from = state) =>
  answerToRollback(testAppliance(layout).appliance, from, data);

/** In the row `returning`, with the copy of today's data that the row before it made. */
function returning(): StateBody {
  const { event } = ask(named);
  if (event === null) throw new Error('it was refused');
  const way = ['clear', 'agent-gone', 'snapshot-done'] as const;
  const there = way.reduce((at, kind) => next(at, events[kind]), next(state, event));
  takeSnapshot(realFiles, layout, returned, bytesMax, null, 2);
  return there;
}

const put = (from: StateBody, files: Files = realFiles) => putBack({ ...testAppliance(layout).appliance, files }, from);

describe('going back where today can not be read', () => {
  it('tells first how old the data of before is, and changes nothing', () => {
    const told = ask();
    expect(told).toMatchObject({ outcome: 'refused', code: 'state-not-readable', event: null });
    expect(told.text).toContain('1.0.48 can not read the data that 1.0.49 writes');
    expect(told.text).toContain('is 5d of running old');
    expect(told.text).toContain(`kept for ${trialsKeptDays} days of running`);
    expect(told.text.length).toBeLessThanOrEqual(600);
    expect(digestsIn(layout.agent)).toEqual(today);
  });

  it('is done by who names that very age, and by nobody else', () => {
    expect(ask(named)).toMatchObject({ outcome: 'begun', event: { kind: 'return', data: named } });
    for (const other of [
      { ...named, ageH: 119 },
      { ...named, ageH: 144 },
      { ...named, tx: 5 },
    ]) {
      const told = ask(other);
      expect(told).toMatchObject({ outcome: 'refused', code: 'data-age', event: null });
      expect(told.text).toContain('name the age, 5d');
    }
  });

  it('is another age a day later', () => {
    const later = { ...state, windowUsedMs: 150 * hourMs };
    expect(ask(named, later)).toMatchObject({ outcome: 'refused', code: 'data-age' });
    expect(ask({ ...named, ageH: 144 }, later)).toMatchObject({ outcome: 'begun' });
  });

  it('never gives up data that could be kept', () => {
    sealedSlot(layout, 'app', '0', {
      version: '1.0.48',
      manifest: digestOf('a'),
      state: { reads: { min: 1, max: 2 }, writes: 1 },
    });
    expect(ask(named)).toMatchObject({ outcome: 'refused', code: 'data-readable' });
    expect(ask()).toMatchObject({ outcome: 'begun' });
    expect(ask().event).not.toHaveProperty('data');
  });

  it.each<[string, () => void]>([
    ['is gone', () => rmSync(snapshotDirectory(layout, switched), { recursive: true })],
    ['was put back already', () => rmSync(inData('state.db'))],
    ['is shorter', () => writeFileSync(inData('agent.json'), '{}')],
    ['was never whole', () => rmSync(inData('done.json'))],
    ['has an index that is none', () => writeFileSync(inData('done.json'), '{')],
    ['is of a version that nobody noted', () => void takeSnapshot(realFiles, layout, switched, bytesMax, null)],
    ['is of a version that wrote more', () => void takeSnapshot(realFiles, layout, switched, bytesMax, null, 2)],
    ['is of another switch', () => rmSync(join(layout.slot('app', '1'), committedName))],
  ])('offers nothing where the data of before %s', (_what, change) => {
    change();
    expect(ask()).toMatchObject({ code: 'state-not-readable', text: expect.stringContaining('is not there') });
    expect(ask(named)).toMatchObject({ outcome: 'refused', code: 'state-not-readable' });
  });

  it('offers nothing where a part of it could not be copied', () => {
    rmSync(layout.stateDb);
    symlinkSync('/etc/passwd', layout.stateDb);
    takeSnapshot(realFiles, layout, switched, bytesMax, null, 1);
    expect(ask()).toMatchObject({ text: expect.stringContaining('is not there') });
  });

  it('does not stop the agent for a copy that has rotted', () => {
    const bytes = readFileSync(inData('state.db'));
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(inData('state.db'), bytes);
    expect(ask(named)).toMatchObject({ outcome: 'refused', code: 'data-damaged', event: null });
  });
});

describe('the row returning', () => {
  it('puts the data of before where the agent finds it, and loses nothing of today', () => {
    const from = returning();
    expect(put(from)).toEqual({ kind: 'data-back' });
    expect(digestsIn(layout.agent)).toEqual(before);
    expect(rowsIn(layout.stateDb)).toBe(rows);
    expect(digestsIn(quarantineDirectory(layout, switched))).toEqual(today);
    expect(digestsIn(snapshotDirectory(layout, returned))).toEqual(today);
  });

  it('needs no file to be written (I11)', () => {
    const from = returning();
    const { files, lines } = recordFiles();
    put(from, files);
    const growing = new Set(['create', 'write', 'openWrite', 'makeDirectory', 'link']);
    const made = lines.filter((line) => growing.has(line.split(' ')[0] ?? ''));
    expect(made.filter((line) => line !== `makeDirectory ${quarantineDirectory(layout, switched)}`)).toEqual([]);
  });

  it('is repeated after a cut at any operation, and ends the same (I8)', () => {
    const from = returning();
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
    const from = returning();
    rmSync(layout.agentSettings);
    symlinkSync('/etc/passwd', layout.agentSettings);
    takeSnapshot(realFiles, layout, returned, bytesMax, null, 2);
    const { files, lines } = recordFiles();
    expect(put(from, files)).toMatchObject({ kind: 'failed', reason: 'inconclusive' });
    expect(lines.filter((line) => line.startsWith('rename'))).toEqual([]);
  });

  it.each([
    ['a byte of it is another one', () => writeFileSync(inData('agent.json'), `{"site_name":"NORTH"}\n`)],
    ['its index is gone', () => rmSync(inData('done.json'))],
  ])('ends with the data of today where it can not be done: %s', async (_what, change) => {
    const from = returning();
    change();
    const event = put(from);
    expect(event).toMatchObject({ kind: 'failed', reason: 'inconclusive' });
    const failed = next(from, event);
    expect(await revert(testAppliance(layout).appliance, failed)).toEqual({ kind: 'reverted' });
    expect(digestsIn(layout.agent)).toEqual(today);
  });

  it('ends so on a disk that refuses, too', async () => {
    const from = returning();
    const refuses = (path: string, to: string) => {
      if (to === layout.agentSettings) throw systemError('EIO');
      realFiles.rename(path, to);
    };
    const event = put(from, withOperations({ rename: refuses }));
    expect(event).toMatchObject({ kind: 'failed', text: expect.stringContaining('EIO') });
    expect(await revert(testAppliance(layout).appliance, next(from, event))).toEqual({ kind: 'reverted' });
    expect(digestsIn(layout.agent)).toEqual(today);
  });
});

describe('when the version that was gone back to fails its trial', () => {
  it('the data of today is back, byte for byte, and the used copy is no way back any more', async () => {
    const from = returning();
    put(from);
    writeFileSync(layout.agentSettings, '{"site_name":"of the trial"}\n');
    const ofTrial = digestsIn(layout.agent);
    const failed = next(next(next(from, events['data-back']), events.started), events.failed);
    expect(await revert(testAppliance(layout).appliance, failed)).toEqual({ kind: 'reverted' });
    expect(digestsIn(layout.agent)).toEqual(today);
    expect(digestsIn(quarantineDirectory(layout, returned))).toEqual(ofTrial);
    expect(existsSync(snapshotDirectory(layout, switched))).toBe(false);
    const after = next(failed, events.reverted);
    expect(ask(named, after)).toMatchObject({ outcome: 'refused', code: 'state-not-readable' });
    // Once more changes nothing.
    await revert(testAppliance(layout).appliance, failed);
    expect(digestsIn(layout.agent)).toEqual(today);
  });
});

describe('when it is committed', () => {
  async function committed() {
    const from = returning();
    put(from);
    const way = ['data-back', 'started', 'passed'] as const;
    const committing = way.reduce((at, kind) => next(at, events[kind]), from);
    const box = testAppliance(layout);
    await commit(box.appliance, committing);
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
    await commit(appliance, committing);
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
    const told = ask({ tx: switched, ageH: 0 }, after);
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
    const { event } = ask();
    if (event === null) throw new Error('it was refused');
    const way = ['clear', 'agent-gone', 'snapshot-done', 'started', 'passed'] as const;
    const committing = way.reduce((at, kind) => next(at, events[kind]), next(state, event));
    takeSnapshot(realFiles, layout, returned, bytesMax, null, 2);
    await commit(testAppliance(layout).appliance, committing);
    expect(realFiles.list(layout.snapshots)).toEqual([String(returned)]);
    const after = next(committing, events.committed);
    expect(ask({ tx: switched, ageH: 0 }, after).event).toBeNull();
  });
});
