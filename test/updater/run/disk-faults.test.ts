import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { settingsShape } from '../../../updater/identity/settings.ts';
import { readHistory } from '../../../updater/outcome/history.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { firstState, loadState, saveState } from '../../../updater/record/state-store.ts';
import { verifyDeviceSlot } from '../../../updater/release/verify-slot.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import {
  type BuiltRelease,
  makeAppliance,
  makeReleaseFixture,
  noise,
  type ReleaseFixture,
} from '../../support/bundle-fixture.ts';
import { setUp } from '../release/install.ts';
import { proveSlot } from '../support/proven-slot.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { refuseAt } from '../support/wrapped-files.ts';

/**
 * The disk refuses one operation, at every place of a whole transaction: request, resolve, write, seal, report. What is
 * installed is a release of the operating system, because its transaction needs no trial.
 */
const content = noise('image', 600_000);
const nowhere = { version: '1.0.0', manifest: sha256('x'), securityVersion: 0 };
let fixture: ReleaseFixture;
let release: BuiltRelease;
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  release = await fixture.build({ component: 'os', version: '13.1.0', image: content });
});
afterAll(() => fixture[Symbol.dispose]());

class Scene implements Disposable {
  readonly #made = makeAppliance();
  readonly layout = this.#made.layout;

  constructor() {
    const { layout } = this;
    setUp(fixture, layout);
    for (const records of [layout.stateRecords, layout.launchRecords])
      createRecordFiles(realFiles, records, layout.updater);
    for (const slot of ['0', '1']) writeFileSync(this.device(slot), Buffer.alloc(1_000_000));
    mkdirSync(layout.requests, { recursive: true });
    const state = firstState(nowhere, nowhere);
    saveState(realFiles, layout, state);
    proveSlot(layout, state.app.committed);
  }

  device(slot: string): string {
    return join(this.layout.root, `device-${slot}`);
  }

  ask(): void {
    const id = '01234567-89ab-4cde-8f01-23456789abcd';
    writeFileSync(
      join(this.layout.requests, `${id}.json`),
      JSON.stringify({ v: 1, id, kind: 'install', file: release.path }),
    );
  }

  /** @returns the code that the run died of; null when it came to rest */
  async run(files: Files = realFiles): Promise<string | null> {
    const { appliance } = testAppliance(this.layout, files);
    const os = { slots: { '0': this.device('0'), '1': this.device('1') }, running: '0' };
    const settings = settingsShape.parse({ processControl: { kind: 'systemd' }, os });
    try {
      await runUpdater({ ...appliance, settings }, loadState(realFiles, this.layout), false);
      return null;
    } catch (error) {
      if (error instanceof Error && 'code' in error) return String(error.code);
      throw error;
    }
  }

  isSound(): boolean {
    const slot = this.layout.slot('os', '1');
    return verifyDeviceSlot(realFiles, slot, this.device('1'), release.manifest).sound;
  }

  outcomes(): string[] {
    return readHistory(realFiles, this.layout).map(({ outcome, reason }) =>
      `${String(outcome)} ${reason ?? ''}`.trim(),
    );
  }

  [Symbol.dispose](): void {
    this.#made[Symbol.dispose]();
  }
}

/** Operations of a run in which nothing fails. */
async function operationsOf(): Promise<number> {
  using scene = new Scene();
  scene.ask();
  const { files, operations } = refuseAt(0, 'none');
  expect(await scene.run(files)).toBeNull();
  expect(scene.isSound()).toBe(true);
  return operations();
}

describe('a disk that refuses', () => {
  it.each(['ENOSPC', 'EIO'])(
    'any one operation with %s ends nothing for good: records are whole, and the release arrives',
    async (code) => {
      const operations = await operationsOf();
      expect(operations).toBeGreaterThan(60);
      const died = new Set<string | null>();
      for (let n = 1; n <= operations; n += 1) {
        using scene = new Scene();
        scene.ask();
        died.add(await scene.run(refuseAt(n, code).files));
        // Whatever became of it: the next runs come to rest, and what the person asks for then is installed.
        for (let runs = 0; runs < 3; runs += 1) expect([n, await scene.run()]).toEqual([n, null]);
        const between = loadState(realFiles, scene.layout);
        expect([n, between.row, between.committed.app]).toEqual([n, 'idle', 'factory']);
        if (!scene.isSound()) {
          expect([n, scene.outcomes().at(-1) ?? 'nothing began']).toEqual([
            n,
            expect.stringMatching(/^refused|^nothing began/),
          ]);
          scene.ask();
          expect(await scene.run()).toBeNull();
        }
        expect([
          n,
          scene.isSound(),
          readFileSync(scene.device('1')).subarray(0, content.length).equals(content),
        ]).toEqual([n, true, true]);
        expect(await scene.run()).toBeNull();
        expect([n, readdirSync(scene.layout.work)]).toEqual([n, []]);
      }
      // It dies of nothing but what was planted.
      expect([...died].filter((one) => one !== null && one !== code)).toEqual([]);
    },
  );

  it('everything from some operation on, as one that turned read-only, loses nothing and says why', async () => {
    const operations = await operationsOf();
    for (let n = 1; n <= operations; n += 7) {
      using scene = new Scene();
      scene.ask();
      await scene.run(refuseAt(n, 'EROFS', 'for ever').files);
      await scene.run(refuseAt(1, 'EROFS', 'for ever').files);
      expect(loadState(realFiles, scene.layout).committed.app).toBe('factory');
      rmSync(scene.layout.requests, { recursive: true });
      mkdirSync(scene.layout.requests);
      // Mounted to be written again.
      for (let runs = 0; runs < 3; runs += 1) expect([n, await scene.run()]).toEqual([n, null]);
      scene.ask();
      expect(await scene.run()).toBeNull();
      expect([n, scene.isSound()]).toEqual([n, true]);
    }
  });
});
