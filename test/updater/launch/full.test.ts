import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { launchBodyShape } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { launchCount } from '../../../updater/launch/count.ts';
import { countUpdaterEnd } from '../../../updater/launch/end.ts';
import { createRecordFiles, readRecord } from '../../../updater/record/record-store.ts';
import { saveState } from '../../../updater/record/state-store.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { digestOf, idleState, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

/** The agent can fill run/, where launch points its links: the updater, which puts an end to that, starts all the same. */
let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
  createRecordFiles(realFiles, layout.launchRecords, layout.updater);
  sealedSlot(layout, 'app', '1', { version: '1.0.49', manifest: digestOf('b') });
  sealedSlot(layout, 'updater', 'factory', { version: '1.0.0' });
  saveState(realFiles, layout, stateIn('idle'));
});

const operations = ['makeDirectory', 'link', 'create', 'write'] as const;

/** run/ takes nothing new: one operation of those that make something there fails. */
function fullRun(operation: (typeof operations)[number]) {
  const refuse = (path: string) => {
    if (operation === 'write' || path.startsWith(`${layout.launched}/`)) throw systemError('ENOSPC');
    return realFiles.makeDirectory(path, 0o755);
  };
  return withOperations({ [operation]: operation === 'link' ? (_: string, path: string) => refuse(path) : refuse });
}

const launch = (component: 'app' | 'updater', files = realFiles) =>
  launchCount({ files, bootId: () => 'boot-1', monoMs: () => 0 }, layout, component);
const startOf = (component: string) => readFileSync(join(layout.launchedComponent(component), 'start.json'), 'utf8');

describe('where run/ is full', () => {
  it.each(operations)('the updater starts from where it was started before (%s)', (operation) => {
    launch('updater');
    const [before, names] = [startOf('updater'), realFiles.list(layout.launched)];
    expect(launch('updater', fullRun(operation))).toMatchObject({ outcome: 'chosen', slot: 'factory' });
    expect(startOf('updater')).toBe(before);
    expect(readlinkSync(join(layout.launchedComponent('updater'), 'slot'))).toBe(layout.slot('updater', 'factory'));
    // Nothing half made is left, which would take the room for good.
    expect(realFiles.list(layout.launched)).toEqual(names);
  });

  it('the updater that was never started here does not pretend to be', () => {
    expect(() => launch('updater', fullRun('create'))).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  });

  it('no agent is started without a nonce of its own', () => {
    launch('app');
    expect(() => launch('app', fullRun('create'))).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  });
});

describe('where run/ is full and an updater is on trial', () => {
  const trial = { tx: 7, component: 'updater', slot: '0', tries: 3 } as const;
  const full = () =>
    withOperations({
      create: (path, mode) => {
        if (path.startsWith(`${layout.run}/`)) throw systemError('ENOSPC');
        return realFiles.create(path, mode);
      },
    });
  const triesCounted = () =>
    launchBodyShape.parse(readRecord(realFiles, layout.launchRecords)?.body).updater?.starts.length;
  const armed = () => {
    sealedSlot(layout, 'updater', '0', { version: '1.1.0' });
    launch('updater');
    saveState(realFiles, layout, { ...idleState(), row: 'armed', trial });
  };

  it('each of its starts counts all the same, and then the one before is started', () => {
    armed();
    for (const tries of [1, 2, 3]) {
      // There is no room to point at the new one; what counts is on the data partition.
      expect(() => launch('updater', full())).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
      expect(triesCounted()).toBe(tries);
    }
    expect(launch('updater', full())).toMatchObject({ outcome: 'chosen', slot: 'factory' });
    expect(triesCounted()).toBe(3);
  });

  it('the one that was pointed at before run/ was full starts, and is counted', () => {
    armed();
    expect(launch('updater')).toMatchObject({ outcome: 'chosen', slot: '0' });
    expect(launch('updater', full())).toMatchObject({ outcome: 'chosen', slot: '0' });
    expect(triesCounted()).toBe(2);
  });

  it('a bad end of it that cannot be noted keeps launch from nothing', () => {
    armed();
    launch('updater');
    const end = { invocation: 'i', code: 'exited', status: '1' };
    expect(countUpdaterEnd(full(), layout, end)).toBe(1);
  });
});
