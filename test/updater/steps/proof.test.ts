import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { Installed, StateBody } from '../../../protocol/state-record.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { lookAtCommitted } from '../../../updater/steps/committed-slot.ts';
import { lookForAWayOut } from '../../../updater/steps/proof.ts';
import { takeSnapshot } from '../../../updater/steps/snapshot.ts';
import { type BuiltRelease, makeReleaseFixture, noise, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { installFile, setUp } from '../release/install.ts';
import { killedAgentState } from '../support/state-database.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const dayMs = 24 * 60 * 60_000;
let fixture: ReleaseFixture;
let [older, newer]: BuiltRelease[] = [];
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  older = await fixture.build({ version: '1.0.48', files: { 'main.js': noise('older', 5_000) }, securityVersion: 1 });
  newer = await fixture.build({ version: '1.0.49', files: { 'main.js': noise('newer', 5_000) }, securityVersion: 1 });
});
afterAll(() => fixture[Symbol.dispose]());

let layout: Layout;
let state: StateBody;
beforeEach(async () => {
  layout = temporaryAppliance();
  for (const path of [layout.run, layout.runtimes, layout.slots]) mkdirSync(path, { recursive: true });
  setUp(fixture, layout);
  const inSlot = async (slot: '0' | '1', release: BuiltRelease | undefined): Promise<Installed> => {
    if (release === undefined) throw new RangeError('it was not built');
    await installFile(layout, release.path, slot);
    return { slot, version: release.version, manifest: release.manifest, securityVersion: 1 };
  };
  state = idleState({ app: { committed: await inSlot('1', newer), previous: await inSlot('0', older) } });
});
const rot = (slot: string) => {
  const path = join(layout.slot('app', slot), 'main.js');
  const bytes = readFileSync(path);
  bytes[9] = (bytes[9] ?? 0) ^ 1;
  writeFileSync(path, bytes);
};
const safe = (changes: Partial<NonNullable<StateBody['safe']>> = {}): StateBody => {
  return { ...state, row: 'safe', safe: { reason: 'slot-damaged', tx: 0, text: 'rotten', ...changes } };
};

describe('the committed slot', () => {
  it('is proven to the last byte once after a boot and then daily, by monotonic time', () => {
    const { appliance, clock } = testAppliance(layout);
    expect(lookAtCommitted(appliance, state)).toBeNull();
    rot('1');
    clock.nowMs += dayMs - 1;
    expect(lookAtCommitted(appliance, state)).toBeNull();
    clock.nowMs += 1;
    const found = { kind: 'damaged', safe: { reason: 'slot-damaged', text: 'wrong-content at main.js in slot 1' } };
    expect(lookAtCommitted(appliance, state)).toMatchObject(found);
    // A boot forgets what was proven.
    rot('1');
    expect(lookAtCommitted(appliance, state)).toBeNull();
    rot('1');
    rmSync(join(layout.run, 'proven.json'));
    expect(lookAtCommitted(appliance, state)).toMatchObject(found);
  });

  it('is looked at in each run: a file that is gone or has another size, a seal that is gone', () => {
    const { appliance } = testAppliance(layout);
    expect(lookAtCommitted(appliance, state)).toBeNull();
    const main = join(layout.slot('app', '1'), 'main.js');
    writeFileSync(main, 'short');
    expect(lookAtCommitted(appliance, state)).toMatchObject({ safe: { text: 'wrong-size at main.js in slot 1' } });
    rmSync(main);
    expect(lookAtCommitted(appliance, state)).toMatchObject({ safe: { text: 'missing-file at main.js in slot 1' } });
    rmSync(join(layout.slot('app', '1'), '.seal'));
    expect(lookAtCommitted(appliance, state)).toMatchObject({ safe: { text: 'no-seal at .seal in slot 1' } });
  });

  it('that the disk does not give back is as good as lost', () => {
    const failing: Files = withOperations({
      openRead: (path) => {
        if (path.endsWith('main.js')) throw systemError('EIO');
        return realFiles.openRead(path);
      },
    });
    expect(lookAtCommitted(testAppliance(layout, failing).appliance, state)).toMatchObject({
      safe: { reason: 'slot-damaged', text: 'wrong-content at EIO in slot 1' },
    });
  });

  it('that is another than the record says is damaged too', () => {
    const { app } = state;
    const other = { ...state, app: { ...app, committed: { ...app.committed, manifest: 'e'.repeat(64) } } };
    expect(lookAtCommitted(testAppliance(layout).appliance, other)).toMatchObject({
      safe: { text: 'wrong-manifest at .manifest.json in slot 1' },
    });
  });
});

describe('in safe mode', () => {
  it('what is whole again ends it', () => {
    expect(lookForAWayOut(testAppliance(layout).appliance, safe())).toEqual({ kind: 'sound' });
  });

  it('the version before is gone back to, where it is whole', () => {
    rot('1');
    const { appliance } = testAppliance(layout);
    expect(lookForAWayOut(appliance, safe())).toMatchObject({ kind: 'return', trial: { tries: 3 } });
    rot('0');
    expect(lookForAWayOut(appliance, safe())).toBeNull();
  });

  it('nobody goes back to a version that failed here, or below the floor', () => {
    rot('1');
    const { appliance } = testAppliance(layout);
    const { version, manifest } = state.app.previous ?? state.app.committed;
    const quarantine = [{ version, manifest, reason: 'trial', verdict: 'crash-loop' } as const];
    expect(lookForAWayOut(appliance, { ...safe(), quarantine })).toBeNull();
    expect(lookForAWayOut(appliance, { ...safe(), floor: { app: 2, updater: 0 } })).toBeNull();
  });

  it('a lost state is not a reason to go back, and ends when its bytes are right again', () => {
    const { appliance } = testAppliance(layout);
    killedAgentState(layout, 5);
    takeSnapshot(realFiles, layout, 9, 1024 ** 2, null);
    const lost = safe({ reason: 'state-lost', tx: 9 });
    expect(lookForAWayOut(appliance, lost)).toEqual({ kind: 'sound' });
    const database = readFileSync(layout.stateDb);
    writeFileSync(layout.stateDb, 'something else');
    expect(lookForAWayOut(appliance, lost)).toBeNull();
    writeFileSync(layout.stateDb, database);
    expect(lookForAWayOut(appliance, lost)).toEqual({ kind: 'sound' });
    rmSync(join(layout.snapshots, '9'), { recursive: true });
    expect(lookForAWayOut(appliance, lost)).toBeNull();
  });
});
