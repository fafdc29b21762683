import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { closeWindow, countWindow } from '../../../updater/transaction/window.ts';
import { idleState, installed } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { cutAt, PowerCut, recordFiles } from '../support/wrapped-files.ts';

const minutes = 60_000;
const dayMs = 24 * 60 * minutes;
let layout: Layout;

/** A previous slot with its seal, and the snapshot that belongs to it. */
function fill(): { seal: string; snapshot: string } {
  const slot = layout.slot('app', '0');
  const snapshot = join(layout.snapshots, '1');
  for (const directory of [slot, snapshot]) mkdirSync(directory, { recursive: true });
  writeFileSync(join(slot, '.seal'), '{}');
  writeFileSync(join(snapshot, 'state.db'), 'before');
  return { seal: join(slot, '.seal'), snapshot };
}

beforeEach(() => {
  layout = temporaryAppliance();
  realFiles.makeDirectory(layout.run, 0o755);
});

describe('the rollback window', () => {
  it('counts the time between runs of one boot, and puts it on disk every ten minutes', () => {
    const { appliance, clock } = testAppliance(layout);
    expect(countWindow(appliance, idleState())).toBeNull();
    clock.nowMs += 9 * minutes;
    expect(countWindow(appliance, idleState())).toBeNull();
    clock.nowMs += minutes;
    expect(countWindow(appliance, idleState())).toEqual({ kind: 'window-time', usedMs: 10 * minutes });
    expect(next(idleState(), { kind: 'window-time', usedMs: 10 * minutes }).windowUsedMs).toBe(10 * minutes);
  });

  it('does not count the time between two boots, whatever the monotonic clock says', () => {
    const { appliance, clock } = testAppliance(layout);
    countWindow(appliance, idleState());
    clock.boot = '00000000-0000-4000-8000-000000000002';
    clock.nowMs += 30 * dayMs;
    expect(countWindow(appliance, idleState())).toBeNull();
  });

  it('does not count time of the version before for the version that was committed since', () => {
    const { appliance, clock } = testAppliance(layout);
    countWindow(appliance, idleState());
    clock.nowMs += 8 * minutes;
    countWindow(appliance, idleState());
    const later = idleState({
      app: { committed: installed('2', '1.0.50', 'c'), previous: installed('1', '1.0.49', 'b') },
    });
    clock.nowMs += 8 * minutes;
    expect(countWindow(appliance, later)).toBeNull();
    clock.nowMs += 9 * minutes;
    expect(countWindow(appliance, later)).toBeNull();
  });

  it('has nothing to count where there is nothing to go back to', () => {
    const { appliance, clock } = testAppliance(layout);
    const alone = idleState({ app: { committed: installed('1', '1.0.49', 'b'), previous: null } });
    countWindow(appliance, alone);
    clock.nowMs += 30 * dayMs;
    expect(countWindow(appliance, alone)).toBeNull();
  });

  it('ends after seven days, and the floor rises only when the previous version cannot be launched any more', () => {
    const { appliance } = testAppliance(layout);
    const { seal, snapshot } = fill();
    const app = { committed: installed('1', '1.0.49', 'b', 7), previous: installed('0', '1.0.48', 'a', 3) };
    const used: StateBody = idleState({ app, windowUsedMs: 7 * dayMs, floor: { app: 3, updater: 1 } });
    expect(countWindow(appliance, used)).toEqual({ kind: 'window-ended' });
    const closing = next(used, { kind: 'window-ended' });
    expect([closing.row, closing.floor.app, closing.app.previous?.version]).toEqual(['closing', 3, '1.0.48']);
    const closed = next(closing, closeWindow(appliance, closing) as { kind: 'closed' });
    expect(realFiles.stat(seal)).toBeNull();
    expect(realFiles.stat(snapshot)).toBeNull();
    expect([closed.row, closed.floor.app, closed.app.previous]).toEqual(['idle', 7, null]);
  });

  it('takes the seal for good before it removes the snapshot', () => {
    const { seal, snapshot } = fill();
    const { files, lines } = recordFiles();
    closeWindow(testAppliance(layout, files).appliance, { ...idleState(), row: 'closing' });
    const at = (line: string) => lines.indexOf(line);
    expect(at(`unlink ${seal}`)).toBeGreaterThanOrEqual(0);
    expect(at(`syncDirectory ${layout.slot('app', '0')}`)).toBeGreaterThan(at(`unlink ${seal}`));
    expect(at(`removeTree ${snapshot}`)).toBeGreaterThan(at(`syncDirectory ${layout.slot('app', '0')}`));
  });

  it('keeps the seal of factory, which always can be launched', () => {
    const { appliance } = testAppliance(layout);
    const factory = layout.slot('app', 'factory');
    mkdirSync(factory, { recursive: true });
    writeFileSync(join(factory, '.seal'), '{}');
    const app = { committed: installed('1', '1.0.49', 'b'), previous: installed('factory', '1.0.48', 'a') };
    closeWindow(appliance, { ...idleState({ app }), row: 'closing' });
    expect(realFiles.stat(join(factory, '.seal'))).not.toBeNull();
  });

  it('can be cut at every operation of its end, and ends the same when it is repeated', () => {
    const state: StateBody = { ...idleState(), row: 'closing' };
    for (let n = 1; ; n += 1) {
      const { seal, snapshot } = fill();
      const { appliance } = testAppliance(layout);
      const cut = cutAt(n);
      try {
        closeWindow({ ...appliance, files: cut.files }, state);
        expect(n).toBeGreaterThan(3);
        return;
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
      // The snapshot is never gone while the slot that needs it can still be launched.
      if (realFiles.stat(seal) !== null) expect(realFiles.stat(snapshot)).not.toBeNull();
      closeWindow(appliance, state);
      expect([realFiles.stat(seal), realFiles.stat(snapshot)]).toEqual([null, null]);
    }
  });
});
