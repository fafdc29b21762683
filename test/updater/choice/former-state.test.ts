import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { committedName } from '../../../protocol/seal.ts';
import { snapshotDirectory, takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { trialsKeptDays } from '../../../updater/outcome/kept-trials.ts';
import {
  bytesMax,
  type Digests,
  digestsIn,
  hourMs,
  named,
  RewrittenAppliance,
  state,
  switched,
} from '../support/rewritten-appliance.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { digestOf } from '../support/states.ts';

let layout: Layout;
let today: Digests;
let scene: RewrittenAppliance;
beforeEach(() => {
  scene = new RewrittenAppliance();
  ({ layout, today } = scene);
});

describe('going back where today cannot be read', () => {
  it('tells first how old the data of before is, and changes nothing', () => {
    const told = scene.ask();
    expect(told).toMatchObject({ outcome: 'refused', code: 'state-not-readable', event: null });
    expect(told.text).toContain('1.0.48 cannot read the data that 1.0.49 writes');
    expect(told.text).toContain('is 5d of running old');
    expect(told.text).toContain(`kept for ${trialsKeptDays} days of running`);
    expect(told.text.length).toBeLessThanOrEqual(600);
    expect(digestsIn(layout.agent)).toEqual(today);
  });

  it('is done by who names that very age, and by nobody else', () => {
    expect(scene.ask(named)).toMatchObject({ outcome: 'begun', event: { kind: 'return', data: named } });
    for (const other of [
      { ...named, ageH: 119 },
      { ...named, ageH: 144 },
      { ...named, tx: 5 },
    ]) {
      const told = scene.ask(other);
      expect(told).toMatchObject({ outcome: 'refused', code: 'data-age', event: null });
      expect(told.text).toContain('name the age, 5d');
    }
  });

  it('is another age a day later', () => {
    const later = { ...state, windowUsedMs: 150 * hourMs };
    expect(scene.ask(named, later)).toMatchObject({ outcome: 'refused', code: 'data-age' });
    expect(scene.ask({ ...named, ageH: 144 }, later)).toMatchObject({ outcome: 'begun' });
  });

  it('never gives up data that could be kept', () => {
    sealedSlot(layout, 'app', '0', {
      version: '1.0.48',
      manifest: digestOf('a'),
      state: { reads: { min: 1, max: 2 }, writes: 1 },
    });
    expect(scene.ask(named)).toMatchObject({ outcome: 'refused', code: 'data-readable' });
    expect(scene.ask()).toMatchObject({ outcome: 'begun' });
    expect(scene.ask().event).not.toHaveProperty('data');
  });

  it.each<[string, () => void]>([
    ['is gone', () => rmSync(snapshotDirectory(layout, switched), { recursive: true })],
    ['was put back already', () => rmSync(scene.inCopy('state.db'))],
    ['is shorter', () => writeFileSync(scene.inCopy('agent.json'), '{}')],
    ['was never whole', () => rmSync(scene.inCopy('done.json'))],
    ['has an index that is none', () => writeFileSync(scene.inCopy('done.json'), '{')],
    ['is of a version that nobody noted', () => void takeSnapshot(realFiles, layout, switched, bytesMax, null)],
    ['is of a version that wrote more', () => void takeSnapshot(realFiles, layout, switched, bytesMax, null, 2)],
    ['is of another switch', () => rmSync(join(layout.slot('app', '1'), committedName))],
  ])('offers nothing where the data of before %s', (_what, change) => {
    change();
    expect(scene.ask()).toMatchObject({ code: 'state-not-readable', text: expect.stringContaining('is not there') });
    expect(scene.ask(named)).toMatchObject({ outcome: 'refused', code: 'state-not-readable' });
  });

  it('offers nothing where a part of it could not be copied', () => {
    rmSync(layout.stateDb);
    symlinkSync('/etc/passwd', layout.stateDb);
    takeSnapshot(realFiles, layout, switched, bytesMax, null, 1);
    expect(scene.ask()).toMatchObject({ text: expect.stringContaining('is not there') });
  });

  it('does not stop the agent for a copy that has rotted', () => {
    const bytes = readFileSync(scene.inCopy('state.db'));
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(scene.inCopy('state.db'), bytes);
    expect(scene.ask(named)).toMatchObject({ outcome: 'refused', code: 'data-damaged', event: null });
  });
});
