import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SlotName } from '../../../protocol/component.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { encodeRecord } from '../../../protocol/record.ts';
import { committedName, sealName } from '../../../protocol/seal.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { createRecordFiles, readRecord } from '../../../updater/record/record-store.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';
import { keepRecovered, openState, recoveredState } from '../../../updater/recovery/recover-state.ts';
import { standBy } from '../../../updater/run/stand-by.ts';
import { type BuiltRelease, makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { installFile, setUp } from '../release/install.ts';
import { statusOn } from '../support/record-appliance.ts';
import { killedAgentState } from '../support/state-database.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

let fixture: ReleaseFixture;
const releases: Record<string, BuiltRelease> = {};
const release = (version: string): BuiltRelease => {
  const found = releases[version];
  if (found === undefined) throw new RangeError(version);
  return found;
};
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  const versions = [
    ['1.0.49', 1],
    ['1.0.50', 1],
    ['1.0.52', 2],
  ] as const;
  for (const [version, securityVersion] of versions) {
    releases[version] = await fixture.build({ version, files: { 'main.js': Buffer.from(version) }, securityVersion });
  }
  releases.updater = await fixture.build({
    version: '1.0.0',
    component: 'updater',
    files: { 'main.js': Buffer.from('u') },
  });
});
afterAll(() => fixture[Symbol.dispose]());

const requestId = '01234567-89ab-4cde-8f01-23456789abcd';
let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  for (const path of [layout.run, layout.runtimes, layout.slots]) mkdirSync(path, { recursive: true });
  setUp(fixture, layout);
});

/** A release in a slot; with a transaction, as its commit leaves it. */
async function slot(name: SlotName, version: string, tx: number | null, floor = 1): Promise<void> {
  const built = release(version);
  await installFile(layout, built.path, name === 'factory' ? '0' : (name as '0' | '1'));
  rmSync(join(layout.work, '1'), { recursive: true, force: true });
  const component = built.component;
  const from = layout.slot(component, name === 'factory' ? '0' : name);
  const to = layout.slot(component, name);
  if (from !== to) {
    rmSync(to, { recursive: true, force: true });
    mkdirSync(join(to, '..'), { recursive: true });
    realFiles.rename(from, to);
  }
  if (tx === null) return;
  const { manifest } = built;
  const quarantine = [{ manifest: 'd'.repeat(64), version: '1.0.51', reason: 'trial', verdict: 'stalled' }];
  const mark = { seq: tx * 10, tx, version, manifest, floor: { app: floor, updater: 0 }, quarantine };
  writeFileSync(join(to, committedName), JSON.stringify(mark));
}
const factory = async () => {
  await slot('factory', '1.0.49', null);
  await slot('factory', 'updater', null);
};
const recovered = (): StateBody => {
  const found = recoveredState(realFiles, layout);
  if (found === null) throw new Error('nothing was recovered');
  return found.state;
};
const versions = ({ app }: StateBody) => [app.committed.version, app.committed.slot, app.previous?.version ?? null];

/** Both records are of a newer updater, in a row that this one does not know. */
function ofTheFuture(): Buffer {
  const bytes = encodeRecord({ seq: 5, schema: 2, body: { ...recovered(), row: 'of-the-future' } });
  for (const path of layout.stateRecords) writeFileSync(path, bytes);
  return bytes;
}

function ask(request: object): void {
  mkdirSync(layout.requests, { recursive: true });
  writeFileSync(join(layout.requests, `${requestId}.json`), JSON.stringify({ v: 1, id: requestId, ...request }));
}

describe('an appliance without records', () => {
  it('that has committed nothing runs its factory version, as after its set-up', async () => {
    await factory();
    expect(recovered()).toMatchObject({ row: 'idle', lastTx: 0, committed: { app: 'factory' }, quarantine: [] });
    expect(versions(recovered())).toEqual(['1.0.49', 'factory', null]);
  });

  it('has what was committed last, and what ran before it, in whatever slots they lie', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    await slot('0', '1.0.52', 7);
    const state = recovered();
    expect(versions(state)).toEqual(['1.0.52', '0', '1.0.50']);
    expect(state).toMatchObject({ committed: { app: '0', updater: 'factory' }, floor: { app: 1 } });
    expect(state.quarantine).toMatchObject([{ version: '1.0.51' }]);
    // Above every number that was ever given.
    expect(state.lastTx).toBeGreaterThan(7);
  });

  it('is read again whatever numbers the disk tells of', async () => {
    await factory();
    await slot('0', '1.0.52', Number.MAX_SAFE_INTEGER);
    await slot('1', '1.0.50', 3);
    const found = recoveredState(realFiles, layout);
    if (found === null) throw new Error('nothing was recovered');
    createRecordFiles(realFiles, layout.stateRecords, layout.updater);
    keepRecovered(realFiles, layout, found);
    const state = loadState(realFiles, layout);
    expect(state.lastTx).toBeGreaterThanOrEqual(3);
    saveState(realFiles, layout, { ...state, lastTx: state.lastTx + 1 });
    expect(loadState(realFiles, layout).lastTx).toBe(state.lastTx + 1);
  });

  it('goes back to factory where somebody had gone back to it', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    await slot('factory', '1.0.49', 5);
    await slot('factory', 'updater', null);
    expect(versions(recovered())).toEqual(['1.0.49', 'factory', '1.0.50']);
  });

  it('does not take a version below the floor for the one before, nor one whose seal is gone', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    await slot('0', '1.0.52', 7, 2);
    expect(versions(recovered())).toEqual(['1.0.52', '0', null]);
    expect(recovered().floor.app).toBe(2);
    await slot('0', '1.0.52', 7, 1);
    rmSync(join(layout.slot('app', '1'), sealName));
    expect(versions(recovered())).toEqual(['1.0.52', '0', '1.0.49']);
  });

  it('never takes a sealed slot that nobody committed (S6)', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    await slot('0', '1.0.52', null);
    expect(versions(recovered())).toEqual(['1.0.50', '1', '1.0.49']);
  });

  it('takes the newest commit though its files are damaged: that is for safe mode to say', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    await slot('0', '1.0.52', 7);
    writeFileSync(join(layout.slot('app', '0'), 'main.js'), 'rotten');
    expect(versions(recovered())).toEqual(['1.0.52', '0', '1.0.50']);
  });

  it('rolls back the switch that was under way, without a word against the version on trial', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    killedAgentState(layout, 5);
    takeSnapshot(realFiles, layout, 9, 1024 ** 2, null);
    const state = recovered();
    expect(state).toMatchObject({ row: 'reverting', transaction: { tx: 9, failure: { reason: 'inconclusive' } } });
    // One that was put back is none any more.
    for (const name of ['state.db', 'state.db-wal', 'agent.json']) {
      rmSync(join(layout.snapshots, '9', name), { force: true });
    }
    expect(recovered().row).toBe('idle');
  });

  it('recovers nothing where not even factory can be read', () => {
    expect(recoveredState(realFiles, layout)).toBeNull();
  });
});

describe('the state of an appliance', () => {
  const damages: readonly (readonly [string, (path: string) => void])[] = [
    ['zeroed', (path) => writeFileSync(path, Buffer.alloc(4_096))],
    ['gone', (path) => rmSync(path)],
    ['garbage of another length', (path) => writeFileSync(path, 'garbage')],
    [
      'a directory',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ];

  it.each(damages)('is rebuilt and written down when both records are %s', async (_what, damage) => {
    await factory();
    await slot('1', '1.0.50', 3);
    createRecordFiles(realFiles, layout.stateRecords, layout.updater);
    for (const path of layout.stateRecords) damage(path);
    const { appliance, processes, lines } = testAppliance(layout);
    const state = await openState(appliance);
    expect(versions(state)).toEqual(['1.0.50', '1', '1.0.49']);
    expect(loadState(realFiles, layout)).toEqual(state);
    // Above every number that a record is known to have had (I5).
    expect(readRecord(realFiles, layout.stateRecords)?.seq).toBeGreaterThan(30);
    expect(processes.orders).toEqual(['stop', 'start']);
    expect(lines.join()).toContain('the state records were lost');
    expect(appliance.events.next()).toMatchObject([
      { kind: 'note', text: expect.stringContaining('1.0.50 is committed') },
    ]);
    expect(await openState(appliance)).toEqual(state);
  });

  it('is rebuilt when its two records contradict each other', async () => {
    await factory();
    await slot('1', '1.0.50', 3);
    const { appliance } = testAppliance(layout);
    for (const [index, path] of layout.stateRecords.entries()) {
      writeFileSync(path, encodeRecord({ seq: 5, schema: 1, body: { ...recovered(), lastTx: index } }));
    }
    expect(versions(await openState(appliance))).toEqual(['1.0.50', '1', '1.0.49']);
    expect(readRecord(realFiles, layout.stateRecords)?.seq).toBeGreaterThan(30);
  });

  it('of a newer updater is left as it is: this one does not understand it, and says so', async () => {
    await factory();
    const bytes = ofTheFuture();
    const { appliance, processes } = testAppliance(layout);
    await expect(openState(appliance)).rejects.toMatchObject({ code: 'state-from-the-future' });
    expect(readFileSync(layout.stateRecords[0]).equals(bytes)).toBe(true);
    processes.facts = { ...processes.facts, state: 'failed' };
    await standBy(appliance, 'the state record has schema 2, this updater knows 1');
    expect(statusOn(layout)).toMatchObject({
      row: 'safe',
      why: expect.stringMatching(
        /^The state record has schema 2, this updater knows 1; the factory agent runs on a state of its own\. Nothing/,
      ),
    });
    expect(processes.orders).toEqual(['start']);
    expect(readFileSync(layout.stateRecords[0]).equals(bytes)).toBe(true);
  });

  it('of a newer updater give way to records of its own when a person brings a bundle, and are kept', async () => {
    await factory();
    const bytes = ofTheFuture();
    const { appliance } = testAppliance(layout);
    ask({ kind: 'install', file: release('1.0.52').path });
    const state = await standBy(appliance, 'the state record has schema 2, this updater knows 1');
    expect(state).toMatchObject({ row: 'idle', app: { committed: { version: '1.0.49' } } });
    expect(loadState(realFiles, layout)).toEqual(state);
    expect(readRecord(realFiles, layout.stateRecords)).toMatchObject({ schema: 1, seq: 6 });
    expect(readFileSync(join(layout.updater, 'state.newer.0')).equals(bytes)).toBe(true);
    // The request waits for the run that takes it.
    expect(realFiles.list(layout.requests)).toHaveLength(1);
  });

  it.each([
    ['a bundle that is none', { kind: 'install', file: '/etc/hostname' }, 'truncated'],
    ['a bundle that is not there', { kind: 'install', file: '/nowhere/x.hfb' }, 'no-file'],
    ['a way back', { kind: 'rollback' }, 'records-newer'],
    ['another try', { kind: 'retry' }, 'records-newer'],
  ])('of a newer updater are left as they are by a person who asks for %s', async (_what, request, code) => {
    await factory();
    const bytes = ofTheFuture();
    const { appliance } = testAppliance(layout);
    ask(request);
    expect(await standBy(appliance, 'the state record has schema 2, this updater knows 1')).toBeNull();
    expect(JSON.parse(readFileSync(join(layout.run, 'last-request.json'), 'utf8'))).toMatchObject({
      outcome: 'refused',
      code,
    });
    expect(realFiles.list(layout.requests)).toEqual([]);
    for (const path of layout.stateRecords) expect(readFileSync(path).equals(bytes)).toBe(true);
  });
});
