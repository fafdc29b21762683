import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { isOverdue, launch } from '../../../updater/launch/count.ts';
import { countUpdaterEnd, exitAgain, readUpdaterEnds, updaterFailuresMax } from '../../../updater/launch/end.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { saveState } from '../../../updater/record/state-store.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { idleState, installed } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

/** What launch makes of the ends of the updater: nobody else is there to bring it forward (I10). */
let layout: Layout;
let nowMs: number;
let boot: string;
beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.run, { recursive: true });
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
  createRecordFiles(realFiles, layout.launchRecords, layout.updater);
  sealedSlot(layout, 'updater', 'factory', { version: '1.0.0' });
  sealedSlot(layout, 'updater', '0', { version: '1.1.0' });
  sealedSlot(layout, 'updater', '1', { version: '1.2.0' });
  nowMs = 1_000;
  boot = 'b1';
});

const effects = { files: realFiles, bootId: () => boot, monoMs: () => nowMs };
const committedIn = (slot: '0' | '1'): StateBody =>
  idleState({
    committed: { app: '1', updater: slot },
    updater: { committed: installed(slot, '1.1.0', 'c'), previous: installed('factory', '1.0.0', 'f') },
  });
const onTrial: StateBody = {
  ...idleState(),
  row: 'armed',
  trial: { tx: 7, component: 'updater', slot: '0', tries: 3 },
};
const starts = (how: 'count' | 'point' = 'count') => {
  const start = launch(effects, layout, 'updater', how);
  return start.outcome === 'chosen' ? start.slot : null;
};
const ends = (code: string, status: string) => countUpdaterEnd(realFiles, layout, { invocation: 'i', code, status });
const endsBadly = (times: number) => {
  for (let n = 0; n < times; n += 1) {
    starts();
    ends('exited', '1');
  }
};

describe('a committed updater that ends badly', () => {
  it('again and again is given up for factory, in this boot', () => {
    saveState(realFiles, layout, committedIn('0'));
    endsBadly(updaterFailuresMax - 1);
    expect(starts()).toBe('0');
    ends('killed', 'KILL');
    expect(readUpdaterEnds(realFiles, layout)).toMatchObject({ slot: '0', exit: { code: null, signal: 'SIGKILL' } });
    expect(starts()).toBe('factory');
    // What factory does is no word about the other one.
    expect(ends('exited', '0')).toBe(updaterFailuresMax);
    expect(starts('point')).toBe('factory');
    expect(starts()).toBe('factory');
  });

  it('once in a while is not', () => {
    saveState(realFiles, layout, committedIn('0'));
    for (let n = 0; n < 3 * updaterFailuresMax; n += 1) {
      endsBadly(updaterFailuresMax - 1);
      starts();
      expect(ends('exited', n % 2 === 0 ? '0' : String(exitAgain))).toBe(0);
    }
    expect(starts()).toBe('0');
  });

  it('is tried again when another one was committed', () => {
    saveState(realFiles, layout, committedIn('0'));
    endsBadly(updaterFailuresMax);
    saveState(realFiles, layout, committedIn('1'));
    expect(starts()).toBe('1');
    expect(ends('exited', '1')).toBe(1);
  });

  it('and is factory itself goes on being started: there is nothing else', () => {
    saveState(realFiles, layout, idleState());
    endsBadly(2 * updaterFailuresMax);
    expect(starts()).toBe('factory');
  });

  it.each(['garbage', '[]', '{"slot":"0"}', '{"failures":9}'])('is not given up for %s in the file', (text) => {
    saveState(realFiles, layout, committedIn('0'));
    writeFileSync(layout.updaterEnds, text);
    expect(starts()).toBe('0');
    expect(ends('exited', '1')).toBe(1);
  });

  it('is not counted when nothing of it had been started', () => {
    saveState(realFiles, layout, committedIn('0'));
    starts();
    expect(ends('', '')).toBe(0);
    expect(existsSync(layout.updaterEnds)).toBe(false);
  });
});

describe('an updater on trial', () => {
  it('is overdue when one run of it lasts too long, told by the clock of this boot', () => {
    saveState(realFiles, layout, onTrial);
    expect(isOverdue(effects, layout, 5_000)).toBe(false);
    expect(starts()).toBe('0');
    expect(JSON.parse(readFileSync(layout.updaterStart, 'utf8'))).toEqual({ boot, atMs: 1_000 });
    nowMs += 4_999;
    expect(isOverdue(effects, layout, 5_000)).toBe(false);
    nowMs += 1;
    expect(isOverdue(effects, layout, 5_000)).toBe(true);
    // tmpfs does not outlive a boot; a directory in its place would, in development.
    boot = 'b2';
    expect(isOverdue(effects, layout, 5_000)).toBe(false);
  });

  it('is not overdue any more once that run has ended, however the next one is started', () => {
    saveState(realFiles, layout, onTrial);
    starts();
    nowMs += 60_000;
    ends('killed', 'KILL');
    expect(isOverdue(effects, layout, 5_000)).toBe(false);
    starts();
    expect(isOverdue(effects, layout, 5_000)).toBe(false);
  });

  it('never is once the one before it was started, whose runs may last', () => {
    saveState(realFiles, layout, onTrial);
    for (let tries = 0; tries < 3; tries += 1) expect(starts()).toBe('0');
    nowMs += 60_000;
    expect(starts()).toBe('factory');
    expect(isOverdue(effects, layout, 5_000)).toBe(false);
  });

  it('whose page starts meanwhile loses no try', () => {
    saveState(realFiles, layout, onTrial);
    for (let n = 0; n < 5; n += 1) expect(starts('point')).toBe('0');
    for (let tries = 0; tries < 3; tries += 1) expect(starts()).toBe('0');
    expect(starts()).toBe('factory');
  });

  it('that is not whole any more uses up its tries, and the one before it is back', () => {
    saveState(realFiles, layout, onTrial);
    realFiles.unlink(join(layout.slot('updater', '0'), '.seal'));
    expect([starts(), starts(), starts(), starts()]).toEqual([null, null, null, 'factory']);
  });
});
