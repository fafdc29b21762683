import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { wordOf } from '../../../protocol/wire-enum.ts';
import type { Files } from '../../../updater/effects/files.ts';
import { realFiles } from '../../../updater/effects/files.ts';
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
import { proveSlot } from '../support/proven-slot.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { cutAt, PowerCut, recordFiles, systemError, withOperations } from '../support/wrapped-files.ts';
import { setUp } from './install.ts';

/** A slot of the operating system: a file stands for each of its two devices. */
const imageBytes = 3_000_000;
const image = (seed: string) => Buffer.concat([noise('common', imageBytes), noise(seed, 700_000)]);
const behind = Buffer.from('what lies behind the image');

let fixture: ReleaseFixture;
let scene: ReturnType<typeof makeAppliance>;
let release: BuiltRelease;
const nowhere = { version: '1.0.0', manifest: sha256('x'), securityVersion: 0 };

beforeEach(async () => {
  fixture = await makeReleaseFixture();
  scene = makeAppliance();
  setUp(fixture, scene.layout);
  release = await fixture.build({ component: 'os', version: '13.1.0', image: image('one') });
  for (const records of [scene.layout.stateRecords, scene.layout.launchRecords])
    createRecordFiles(realFiles, records, scene.layout.updater);
  for (const slot of ['0', '1'] as const) writeFileSync(device(slot), Buffer.concat([Buffer.alloc(4_000_000), behind]));
  mkdirSync(scene.layout.requests, { recursive: true });
  const state = firstState(nowhere, nowhere);
  saveState(realFiles, scene.layout, state);
  proveSlot(scene.layout, state.app.committed);
});
afterEach(() => {
  scene[Symbol.dispose]();
  fixture[Symbol.dispose]();
});

function device(slot: '0' | '1'): string {
  return join(scene.layout.root, `device-${slot}`);
}

function ask(file: string): void {
  const id = '01234567-89ab-4cde-8f01-23456789abcd';
  writeFileSync(join(scene.layout.requests, `${id}.json`), JSON.stringify({ v: 1, id, kind: 'install', file }));
}

/** One run of the updater, on an appliance whose other slot runs. */
async function run(files: Files = realFiles, running: '0' | '1' = '0'): Promise<StateBody> {
  const { appliance } = testAppliance(scene.layout, files);
  const os = { slots: { '0': device('0'), '1': device('1') }, running };
  const settings = settingsShape.parse({ processControl: { kind: 'systemd' }, os });
  return runUpdater({ ...appliance, settings }, loadState(realFiles, scene.layout), false);
}

const outcomes = () =>
  readHistory(realFiles, scene.layout).map(({ to, outcome, reason }) => [to, wordOf(outcome), reason]);
const lastRequest = () => JSON.parse(readFileSync(join(scene.layout.run, 'last-request.json'), 'utf8'));
const holds = (slot: '0' | '1', bytes: Buffer) => readFileSync(device(slot)).subarray(0, bytes.length).equals(bytes);
const isSound = (slot: '0' | '1', of = release) =>
  verifyDeviceSlot(realFiles, scene.layout.slot('os', slot), device(slot), of.manifest).sound;

describe('a release of the operating system, from a file', () => {
  it('is in the slot that does not run: written, read back, sealed, and not called installed', async () => {
    ask(release.path);
    expect(await run()).toMatchObject({ row: 'idle', transaction: null });
    expect(outcomes()).toEqual([['13.1.0', 'written', null]]);
    expect(holds('1', image('one'))).toBe(true);
    expect(isSound('1')).toBe(true);
    expect(
      readFileSync(device('0'))
        .subarray(0, 4_000_000)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it('leaves what the device holds behind it', async () => {
    ask(release.path);
    await run();
    expect(readFileSync(device('1')).subarray(4_000_000)).toEqual(behind);
  });

  it('takes the chunks that the other slot holds from there, and only the rest from the file', async () => {
    ask(release.path);
    await run();
    const next = await fixture.build({ component: 'os', version: '13.2.0', image: image('two') });
    ask(next.path);
    const { files, lines } = recordFiles();
    await run(files, '1');
    expect(holds('0', image('two'))).toBe(true);
    expect(isSound('0', next)).toBe(true);
    const fromDevice = lines.filter((line) => line === `openDevice ${device('1')}`);
    expect(fromDevice.length).toBeGreaterThan(3);
  });

  it('is synced before it is read back, and sealed only then (S46)', async () => {
    ask(release.path);
    const { files, lines } = recordFiles();
    await run(files);
    const at = (line: string) => lines.lastIndexOf(line);
    const seal = join(scene.layout.slot('os', '1'), '.seal');
    expect(at(`sync ${device('1')}`)).toBeGreaterThan(at(`write ${device('1')}`));
    expect(at(`readInto ${device('1')}`)).toBeGreaterThan(at(`sync ${device('1')}`));
    expect(lines.findIndex((line) => line.startsWith(`rename ${seal}.tmp`))).toBeGreaterThan(
      at(`readInto ${device('1')}`),
    );
  });

  it('is whole in the end wherever the power goes, and until then the slot has no seal', async () => {
    for (let n = 40; n < 2_000; n += 97) {
      rmSync(scene.layout.slot('os', '1'), { recursive: true, force: true });
      ask(release.path);
      let cut = false;
      await run(cutAt(n).files).catch((error: unknown) => {
        expect(error).toBeInstanceOf(PowerCut);
        cut = true;
      });
      const sealed = existsSync(join(scene.layout.slot('os', '1'), '.seal'));
      if (sealed) expect(isSound('1'), `cut at ${n}`).toBe(true);
      for (let runs = 0; runs < 4 && loadState(realFiles, scene.layout).row !== 'idle'; runs += 1) await run();
      if (!cut) return;
      writeFileSync(device('1'), Buffer.alloc(4_000_000));
    }
    expect.unreachable('the run never got to its end');
  });
});

describe('a device that cannot be a slot', () => {
  const refused = async (code: string) => {
    ask(release.path);
    await run();
    expect(outcomes().at(-1)).toEqual(['13.1.0', 'refused', code]);
    expect(existsSync(join(scene.layout.slot('os', '1'), '.seal'))).toBe(false);
  };

  it('is one that is too small', async () => {
    truncateSync(device('1'), 1_000_000);
    await refused('device-unusable');
  });

  it('is one that is not there, or a directory', async () => {
    rmSync(device('1'));
    await refused('device-unusable');
    mkdirSync(device('1'));
    await refused('device-unusable');
  });

  it('is one that gives back other bytes than it took', async () => {
    const { openDevice } = realFiles;
    let handle = -1;
    const files = withOperations({
      openDevice: (path, access) => {
        handle = openDevice(path, access);
        return handle;
      },
      readInto: (from, buffer, position) => {
        const count = realFiles.readInto(from, buffer, position);
        if (from === handle && buffer.length > 1) buffer.writeUInt8(buffer.readUInt8(0) ^ 1, 0);
        return count;
      },
    });
    ask(release.path);
    await run(files);
    expect(outcomes().at(-1)).toEqual(['13.1.0', 'refused', 'slot-damaged']);
    expect(isSound('1')).toBe(false);
  });

  it('is none at all: an appliance without os slots refuses the file at once', async () => {
    ask(release.path);
    const { appliance } = testAppliance(scene.layout);
    await runUpdater(appliance, loadState(realFiles, scene.layout), false);
    expect(lastRequest()).toMatchObject({ outcome: 'refused', code: 'incompatible' });
  });

  it('may be reached by a link: names of partitions are links', async () => {
    rmSync(device('1'));
    writeFileSync(`${device('1')}.real`, Buffer.alloc(4_000_000));
    symlinkSync(`${device('1')}.real`, device('1'));
    ask(release.path);
    await run();
    expect(isSound('1')).toBe(true);
  });
});

describe('a file that somebody brought', () => {
  it('is read where it lies: nothing of it is copied', async () => {
    ask(release.path);
    const { files, lines } = recordFiles();
    await run(files);
    const copies = lines.filter((line) => line.startsWith(`create ${scene.layout.work}`) && !line.includes('manifest'));
    expect(copies).toEqual([]);
  });

  it('that is pulled out half way ends the transaction with its reason, and nothing is lost', async () => {
    ask(release.path);
    let reads = 0;
    const handles = new Set<number>();
    const files = withOperations({
      openRead: (path) => {
        const handle = realFiles.openRead(path);
        if (path === release.path) handles.add(handle);
        return handle;
      },
      close: (handle) => {
        handles.delete(handle);
        realFiles.close(handle);
      },
      read: (handle, position, length) => {
        reads += handles.has(handle) && length > 50_000 ? 1 : 0;
        if (handles.has(handle) && reads > 3) throw systemError('EIO');
        return realFiles.read(handle, position, length);
      },
    });
    expect(await run(files)).toMatchObject({ row: 'idle', transaction: null });
    expect(outcomes()).toEqual([['13.1.0', 'refused', 'no-file']]);
    expect(isSound('1')).toBe(false);
  });

  it('that became another one before it was written is not installed', async () => {
    const other = await fixture.build({ component: 'os', version: '13.3.0', image: image('three') });
    const path = join(scene.layout.root, 'brought.hfb');
    writeFileSync(path, readFileSync(release.path));
    ask(path);
    const files = withOperations({
      openDevice: (device_, access) => {
        writeFileSync(path, readFileSync(other.path));
        return realFiles.openDevice(device_, access);
      },
    });
    await run(files);
    expect(outcomes().at(-1)?.slice(0, 2)).toEqual(['13.1.0', 'refused']);
    expect(isSound('1')).toBe(false);
  });
});
