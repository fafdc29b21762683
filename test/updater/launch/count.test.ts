import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { startShape } from '../../../protocol/health.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { encodeRecord } from '../../../protocol/record.ts';
import { launchBodyShape, type StateBody } from '../../../protocol/state-record.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { launchCount, startDigest } from '../../../updater/launch/count.ts';
import { createRecordFiles, readRecord, writeRecord } from '../../../updater/record/record-store.ts';
import { saveState } from '../../../updater/record/state-store.ts';
import { sealedRuntime, sealedSlot } from '../support/sealed-slot.ts';
import { digestOf, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { cutAt, PowerCut, recordFiles, systemError, withOperations } from '../support/wrapped-files.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
  createRecordFiles(realFiles, layout.launchRecords, layout.updater);
  sealedSlot(layout, 'app', 'factory', { version: '1.0.40' });
  sealedSlot(layout, 'app', '1', { version: '1.0.49', manifest: digestOf('b') });
  sealedSlot(layout, 'app', '2', { version: '1.0.52', manifest: digestOf('c') });
  sealedSlot(layout, 'updater', 'factory', { version: '1.0.0' });
});

const save = (state: StateBody) => saveState(realFiles, layout, state);
const launch = (boot = 'boot-1', files: Files = realFiles, component: 'app' | 'updater' = 'app') =>
  launchCount({ files, bootId: () => boot, monoMs: () => 0 }, layout, component);
const start = () =>
  startShape.loose().parse(JSON.parse(readFileSync(join(layout.launchedComponent('app'), 'start.json'), 'utf8')));
const slotLink = () => readlinkSync(join(layout.launchedComponent('app'), 'slot'));
const counted = () =>
  launchBodyShape.parse(readRecord(realFiles, layout.launchRecords)?.body ?? { app: null, updater: null });

describe('a start of the committed slot', () => {
  it('points the link at it and leaves what the program must know', () => {
    save(stateIn('idle'));
    expect(launch()).toEqual({ outcome: 'chosen', slot: '1', version: '1.0.49' });
    expect(slotLink()).toBe(layout.slot('app', '1'));
    expect(start()).toEqual({
      nonce: expect.stringMatching(/^[0-9a-f]{64}$/),
      slot: '1',
      manifest: digestOf('b'),
      version: '1.0.49',
      stateDir: layout.agent,
      entry: 'main.js',
      runtimeEntry: null,
      stateSchemaMax: 1,
    });
  });

  it('counts nothing: fifty power cycles change nothing (I9)', () => {
    save(stateIn('idle'));
    const bytes = () => [...layout.stateRecords, ...layout.launchRecords].map((path) => readFileSync(path));
    const before = bytes();
    for (let cycle = 1; cycle <= 50; cycle += 1) {
      expect(launch(`boot-${cycle}`)).toMatchObject({ outcome: 'chosen', slot: '1' });
    }
    expect(bytes()).toEqual(before);
  });

  it('has a nonce of its own, which travels only as its digest', () => {
    save(stateIn('idle'));
    const nonces = Array.from({ length: 20 }, () => {
      launch();
      return start().nonce;
    });
    expect(new Set(nonces).size).toBe(20);
    expect(nonces.map(startDigest)).toEqual(nonces.map((nonce) => sha256(nonce)));
  });

  it('leaves no trace of the starts before it in run', () => {
    save(stateIn('idle'));
    for (let i = 0; i < 5; i += 1) launch();
    expect(readdirSync(layout.launched)).toHaveLength(2);
  });

  it('links its runtime', () => {
    const runtime = sealedRuntime(layout, digestOf('e'));
    sealedSlot(layout, 'app', '1', { version: '1.0.49', runtime });
    save(stateIn('idle'));
    launch();
    expect(readlinkSync(join(layout.launchedComponent('app'), 'runtime'))).toBe(layout.runtime(digestOf('e')));
    expect(start()).toMatchObject({ entry: 'main.js', runtimeEntry: 'bin/node' });
  });
});

describe('a start of the trial slot', () => {
  it('is counted, written and synced before the link is turned to it', () => {
    save(stateIn('armed'));
    const { files, lines } = recordFiles();
    expect(launch('boot-1', files)).toMatchObject({ outcome: 'chosen', slot: '2' });
    const record = layout.launchRecords[0];
    const at = (line: string) => lines.findIndex((other) => other.startsWith(line));
    const order = [`write ${record}`, `sync ${record}`, `read ${record}`].map((line) => lines.lastIndexOf(line));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
    expect(at('link ')).toBeGreaterThan(lines.lastIndexOf(`sync ${record}`));
    expect(at('rename ')).toBeGreaterThan(at('link '));
  });

  it('uses up its tries, then nothing starts', () => {
    save(stateIn('trial'));
    expect([1, 2, 3].map(() => launch().outcome)).toEqual(['chosen', 'chosen', 'chosen']);
    expect(counted().app).toEqual({ tx: 7, slot: '2', starts: [1, 2, 3].map((n) => ({ boot: 'boot-1', n })) });
    const link = slotLink();
    expect(launch()).toEqual({ outcome: 'nothing', why: 'transaction 7 has no tries left' });
    expect(slotLink()).toBe(link);
    expect(counted().app?.starts).toHaveLength(3);
  });

  it('survives ten power cycles and no more', () => {
    save(stateIn('trial'));
    const outcomes = Array.from({ length: 11 }, (_, i) => launch(`boot-${i}`).outcome);
    expect(outcomes).toEqual([...Array(10).fill('chosen'), 'nothing']);
  });

  it('begins to count anew for another transaction, and leaves the other component alone', () => {
    const updater = { tx: 3, slot: '0', starts: [{ boot: 'boot-0', n: 1 }] };
    writeRecord(realFiles, layout.launchRecords, 1, {
      app: { tx: 6, slot: '2', starts: [{ boot: 'b', n: 9 }] },
      updater,
    });
    save(stateIn('armed'));
    launch();
    expect(counted()).toEqual({ app: { tx: 7, slot: '2', starts: [{ boot: 'boot-1', n: 1 }] }, updater });
  });

  it('is counted also when the slot cannot be started: its tries end', () => {
    rmSync(join(layout.slot('app', '2'), 'main.js'));
    save(stateIn('armed'));
    expect(launch()).toEqual({ outcome: 'nothing', why: 'slot 2 of app is unsealed or incomplete' });
    expect(counted().app?.starts).toHaveLength(1);
  });

  it.each([
    ['contradict each other', () => contradicting()],
    ['are gone', () => layout.launchRecords.map((path) => rmSync(path))],
    ['were cut short', () => layout.launchRecords.map((path) => truncateSync(path, 100))],
    ['are directories', () => layout.launchRecords.map((path) => [rmSync(path), mkdirSync(path)])],
  ])('is counted anew when the counts %s: its tries still end', (_what, damage) => {
    save(stateIn('trial'));
    launch();
    damage();
    expect([1, 2, 3, 4].map(() => launch().outcome)).toEqual(['chosen', 'chosen', 'chosen', 'nothing']);
    expect(counted().app?.starts).toHaveLength(3);
  });

  function contradicting(): void {
    for (const [i, path] of layout.launchRecords.entries()) {
      const app = { tx: 7, slot: '2', starts: [{ boot: `boot-${i}`, n: 1 }] };
      writeFileSync(path, encodeRecord({ seq: 4, schema: 1, body: { app, updater: null } }));
    }
  }

  it('was counted wherever the power goes, or the slot was not pointed at', () => {
    save(stateIn('armed'));
    for (let n = 1; n < 200; n += 1) {
      rmSync(layout.run, { recursive: true });
      mkdirSync(layout.launched, { recursive: true });
      createFreshLaunchRecords();
      const cut = cutAt(n);
      try {
        launch('boot-1', cut.files);
        expect(n).toBeGreaterThan(20);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
      }
      if (realFiles.stat(layout.launchedComponent('app')) !== null) expect(counted().app?.starts).toHaveLength(1);
      expect(launch('boot-2')).toMatchObject({ outcome: 'chosen', slot: '2' });
    }
    expect.unreachable('the launch never ended');
  });

  function createFreshLaunchRecords(): void {
    for (const path of layout.launchRecords) rmSync(path);
    createRecordFiles(realFiles, layout.launchRecords, layout.updater);
  }
});

describe('nothing is started', () => {
  it.each(['quiesced', 'snapped', 'reverting'] as const)('while the updater is at work: %s', (row) => {
    save(stateIn(row));
    expect(launch()).toEqual({ outcome: 'nothing', why: `the updater is at work (${row})` });
    expect(realFiles.stat(layout.launchedComponent('app'))).toBeNull();
    expect(launch('boot-1', realFiles, 'updater')).toMatchObject({ outcome: 'chosen', slot: 'factory' });
  });

  it('when not even factory is whole', () => {
    rmSync(join(layout.slot('app', 'factory'), '.seal'));
    expect(launch()).toMatchObject({ outcome: 'nothing' });
  });
});

describe('factory, on its own state', () => {
  const onFactory = () => {
    expect(launch()).toEqual({ outcome: 'chosen', slot: 'factory', version: '1.0.40' });
    expect(slotLink()).toBe(layout.slot('app', 'factory'));
    expect(start().stateDir).toBe(layout.agentFactory);
    expect(counted().app).toBeNull();
  };
  const committed = (name: string) => join(layout.slot('app', '1'), name);

  it('starts when there is no record: no other slot is known (I1, S6)', () => {
    onFactory();
  });

  it('starts when the record says nothing that launch understands (S6)', () => {
    writeRecord(realFiles, layout.stateRecords, 9, { row: 'idle', committed: 'A' });
    onFactory();
  });

  it('starts when two writers left the record corrupt (I1)', () => {
    for (const [i, path] of layout.stateRecords.entries()) {
      writeFileSync(path, encodeRecord({ seq: 4, schema: 1, body: { ...stateIn('idle'), lastTx: i } }));
    }
    onFactory();
  });

  it('starts in safe mode', () => {
    save(stateIn('safe'));
    onFactory();
  });

  it.each([
    ['has no seal', () => rmSync(committed('.seal'))],
    ['has a seal that is not JSON', () => writeFileSync(committed('.seal'), '{"format":1,')],
    ['has a seal of another shape', () => writeFileSync(committed('.seal'), '{"files":[]}')],
    ['has a directory for a seal', () => [rmSync(committed('.seal')), mkdirSync(committed('.seal'))]],
    ['has a seal without an end', () => truncateSync(committed('.seal'), 9 * 1024 * 1024)],
    ['lacks a file', () => rmSync(committed('lib/work.js'))],
    ['has a file that is shorter', () => truncateSync(committed('main.js'), 3)],
    ['has a link for a file', () => [rmSync(committed('main.js')), symlinkSync('lib/work.js', committed('main.js'))]],
    [
      'names a runtime that is not there',
      () =>
        sealedSlot(layout, 'app', '1', { version: '1.0.49', runtime: { digest: digestOf('e'), entry: 'bin/node' } }),
    ],
  ])('starts when the committed slot %s (I1, I3)', (_what, damage) => {
    save(stateIn('idle'));
    damage();
    onFactory();
  });

  it('starts when the committed slot cannot be read from its disk (I1)', () => {
    save(stateIn('idle'));
    const bad = withOperations({
      openRead: (path) => {
        if (path === committed('.seal')) throw systemError('EIO');
        return realFiles.openRead(path);
      },
    });
    expect(launch('boot-1', bad)).toMatchObject({ outcome: 'chosen', slot: 'factory' });
  });

  it('on the common state when it is the committed slot', () => {
    const state = stateIn('idle');
    save({ ...state, committed: { app: 'factory', updater: 'factory' } });
    expect(launch()).toMatchObject({ slot: 'factory' });
    expect(start().stateDir).toBe(layout.agent);
  });
});

describe('two launches at the same time', () => {
  it('leave a link that leads to a whole start, whichever turned it last', () => {
    save(stateIn('idle'));
    launch();
    const operations = ['makeDirectory', 'link', 'readLink', 'rename', 'removeTree'] as const;
    for (const between of operations) {
      let others = 0;
      const files = withOperations({
        [between]: (...args: unknown[]): unknown => {
          if (others === 0) {
            others += 1;
            launch('boot-1');
          }
          return Reflect.apply(realFiles[between], realFiles, args);
        },
      });
      expect(launch('boot-1', files), between).toMatchObject({ outcome: 'chosen' });
      expect(others, between).toBe(1);
      expect(start().slot, between).toBe('1');
    }
  });
});
