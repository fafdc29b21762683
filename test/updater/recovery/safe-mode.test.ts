import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { Installed, StateBody } from '../../../protocol/state-record.ts';
import { takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { noteRefused } from '../../../updater/choice/refused.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { quickSeal } from '../../../updater/record/quick-look.ts';
import { enterSafe, leaveSafeByItself } from '../../../updater/recovery/safe-mode.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { lookAtCommitted } from '../../../updater/watch/committed-slot.ts';
import { type BuiltRelease, makeReleaseFixture, noise, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { installFile, setUp } from '../release/install.ts';
import { statusOn } from '../support/record-appliance.ts';
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

  it('is looked at with the rights that the agent needs: what nobody may read, or run, is damaged', () => {
    const { appliance } = testAppliance(layout);
    expect(lookAtCommitted(appliance, state)).toBeNull();
    chmodSync(join(layout.slot('app', '1'), 'main.js'), 0o600);
    expect(lookAtCommitted(appliance, state)).toMatchObject({ safe: { text: 'wrong-mode at main.js in slot 1' } });
    expect(quickSeal(realFiles, layout.slot('app', '1'))).toBeNull();
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
  it.each([
    ['whole', /the factory agent runs on a state of its own/i],
    ['damaged', /no agent runs, because the factory agent is damaged too/i],
  ])('what runs is told as it is: the factory agent is %s', async (how, words) => {
    const factory = layout.slot('app', 'factory');
    cpSync(layout.slot('app', '0'), factory, { recursive: true });
    if (how === 'damaged') rmSync(join(factory, 'main.js'));
    const { appliance } = testAppliance(layout);
    const lines: string[] = [];
    const told = { ...appliance, log: (line: string) => void lines.push(line) };
    await enterSafe(told, safe());
    await publishStatus(told, safe());
    const { why } = statusOn(layout);
    const events = JSON.stringify(appliance.events.next());
    for (const text of [lines.join(), why, events]) {
      expect(text).toMatch(words);
      expect(/factory agent runs/i.test(text)).toBe(how === 'whole');
    }
  });

  it('what is whole again ends it', () => {
    expect(leaveSafeByItself(testAppliance(layout).appliance, safe())).toEqual({ kind: 'sound' });
  });

  it('the version before waits after a trial of it that could not be judged: people and the server come first', () => {
    rot('1');
    const { appliance, clock } = testAppliance(layout);
    const { previous } = state.app;
    if (previous === null) throw new RangeError('there is a version before');
    noteRefused(appliance, previous.manifest, 'the power failed too often for a verdict');
    expect(leaveSafeByItself(appliance, safe())).toBeNull();
    clock.nowMs += 60_000;
    expect(leaveSafeByItself(appliance, safe())).toMatchObject({ kind: 'return' });
  });

  it('the version before is gone back to, where it is whole', () => {
    rot('1');
    const { appliance } = testAppliance(layout);
    expect(leaveSafeByItself(appliance, safe())).toMatchObject({ kind: 'return', trial: { tries: 3 } });
    rot('0');
    expect(leaveSafeByItself(appliance, safe())).toBeNull();
  });

  it('nobody goes back to a version that failed here, or below the floor', () => {
    rot('1');
    const { appliance } = testAppliance(layout);
    const { version, manifest } = state.app.previous ?? state.app.committed;
    const quarantine = [{ version, manifest, reason: 'trial', verdict: 'crash-loop' } as const];
    expect(leaveSafeByItself(appliance, { ...safe(), quarantine })).toBeNull();
    expect(leaveSafeByItself(appliance, { ...safe(), floor: { app: 2, updater: 0 } })).toBeNull();
  });

  it('a lost state is not a reason to go back, and ends when its bytes are right again', () => {
    const { appliance } = testAppliance(layout);
    killedAgentState(layout, 5);
    takeSnapshot(realFiles, layout, 9, 1024 ** 2, null);
    const lost = safe({ reason: 'state-lost', tx: 9 });
    expect(leaveSafeByItself(appliance, lost)).toEqual({ kind: 'sound' });
    const database = readFileSync(layout.stateDb);
    writeFileSync(layout.stateDb, 'something else');
    expect(leaveSafeByItself(appliance, lost)).toBeNull();
    writeFileSync(layout.stateDb, database);
    expect(leaveSafeByItself(appliance, lost)).toEqual({ kind: 'sound' });
    rmSync(join(layout.snapshots, '9'), { recursive: true });
    expect(leaveSafeByItself(appliance, lost)).toBeNull();
  });
});
