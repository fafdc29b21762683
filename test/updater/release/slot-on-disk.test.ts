import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SlotName } from '../../../protocol/component.ts';
import { sha256 } from '../../../protocol/digest.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { firstState } from '../../../updater/record/state-store.ts';
import { probeWritable, requireSpace } from '../../../updater/release/check-space.ts';
import { prune } from '../../../updater/release/prune.ts';
import { keepManifest, keptManifest } from '../../../updater/release/resolve-release.ts';
import { looksSealed, verifyInstalled, verifySlot } from '../../../updater/release/verify-slot.ts';
import { makeAppliance, makeReleaseFixture, noise } from '../../support/bundle-fixture.ts';
import { fetchInto, fromFile, installFile, setUp, writeInto } from './install.ts';

const files = { 'main.js': Buffer.from('export {};\n'), 'lib/data.bin': noise('data', 300_000) };
const runtimeOf = (seed: string) => ({ 'bin/node': noise(seed, 200_000) });

async function installed() {
  const fixture = await makeReleaseFixture();
  const appliance = makeAppliance();
  setUp(fixture, appliance.layout);
  const release = await fixture.build({ version: '1.0.52', files, runtime: runtimeOf('a') });
  const resolved = await installFile(appliance.layout, release.path);
  return {
    fixture,
    layout: appliance.layout,
    release,
    resolved,
    slot: appliance.layout.slot('app', '0'),
    [Symbol.dispose]: () => {
      appliance[Symbol.dispose]();
      fixture[Symbol.dispose]();
    },
  };
}

describe('a sealed slot', () => {
  const harms: readonly (readonly [string, (slot: string) => void, string, boolean])[] = [
    ['its seal is gone', (slot) => rmSync(join(slot, '.seal')), 'no-seal', false],
    ['its seal is torn', (slot) => writeFileSync(join(slot, '.seal'), '{"format":1'), 'no-seal', false],
    ['a file is gone', (slot) => rmSync(join(slot, 'lib/data.bin')), 'missing-file', false],
    ['a file grew', (slot) => appendFileSync(join(slot, 'main.js'), '//'), 'wrong-size', false],
    [
      'a file is a link',
      (slot) => {
        renameSync(join(slot, 'main.js'), join(slot, '..', 'elsewhere'));
        symlinkSync(join(slot, '..', 'elsewhere'), join(slot, 'main.js'));
      },
      'missing-file',
      false,
    ],
    ['a byte rotted', (slot) => flip(join(slot, 'lib/data.bin')), 'wrong-content', true],
    ['a file may be executed', (slot) => chmodSync(join(slot, 'main.js'), 0o755), 'wrong-mode', true],
    ['a file was added', (slot) => writeFileSync(join(slot, 'lib/more.js'), ''), 'extra-file', true],
    ['a directory was added', (slot) => mkdirSync(join(slot, 'lib/more')), 'extra-file', true],
    ['its manifest rotted', (slot) => flip(join(slot, '.manifest.json')), 'wrong-manifest', true],
    [
      'its seal says something else than its manifest',
      (slot) => {
        const seal = JSON.parse(readFileSync(join(slot, '.seal'), 'utf8'));
        writeFileSync(join(slot, '.seal'), JSON.stringify({ ...seal, securityVersion: 9 }));
      },
      'bad-seal',
      true,
    ],
  ];

  it.each(harms)('is known to be damaged when %s', async (_name, harm, reason, looksWhole) => {
    using scene = await installed();
    expect(verifySlot(realFiles, scene.slot, scene.release.manifest).sound).toBe(true);
    harm(scene.slot);
    expect(verifySlot(realFiles, scene.slot)).toMatchObject({ sound: false, reason });
    expect(looksSealed(realFiles, scene.slot).sound).toBe(looksWhole);
  });

  it('is not the slot of another manifest', async () => {
    using scene = await installed();
    expect(verifySlot(realFiles, scene.slot, sha256('other'))).toMatchObject({ reason: 'wrong-manifest' });
  });

  it('is not whole without its runtime', async () => {
    using scene = await installed();
    rmSync(scene.layout.runtime(scene.resolved.manifest.runtime?.digest ?? ''), { recursive: true });
    expect(verifyInstalled(realFiles, scene.layout, 'app', '0')).toMatchObject({ sound: false });
  });

  it('loses its seal before anything of it changes, and its old tree wholly', async () => {
    using scene = await installed();
    const next = await scene.fixture.build({ version: '1.0.54', files: { 'main.js': Buffer.from('2') } });
    const resolved = await fromFile(scene.layout, next.path);
    await fetchInto(scene.layout, resolved, '0', 2);
    writeFileSync(join(scene.slot, '.committed'), '{}');
    const steps: string[] = [];
    const recording: Files = {
      ...realFiles,
      unlink: (path) => {
        steps.push(`unlink ${path.slice(scene.slot.length)}`);
        realFiles.unlink(path);
      },
      syncDirectory: (path) => {
        if (path === scene.slot) steps.push('sync directory');
        realFiles.syncDirectory(path);
      },
      removeTree: (path) => {
        if (path === scene.slot) steps.push('remove tree');
        realFiles.removeTree(path);
      },
    };
    writeInto(scene.layout, resolved, '0', 2, recording);
    resolved.bundle.source.close();
    expect(steps.slice(0, 4)).toEqual(['unlink /.seal', 'unlink /.committed', 'sync directory', 'remove tree']);
    expect(readdirSync(scene.slot).sort()).toEqual(['.manifest.json', '.seal', 'main.js']);
  });

  it('is never sealed half, wherever the power fails while it is written', async () => {
    using scene = await installed();
    const next = await scene.fixture.build({ version: '1.0.54', files, runtime: runtimeOf('b') });
    const resolved = await fromFile(scene.layout, next.path);
    await fetchInto(scene.layout, resolved, '1', 2);
    const target = scene.layout.slot('app', '1');
    for (let change = 1; change < 200; change += 1) {
      const power = { left: change };
      const cut = attempt(() => writeInto(scene.layout, resolved, '1', 2, powerCut(power)));
      expect(verifyInstalled(realFiles, scene.layout, 'app', '0', scene.release.manifest).sound).toBe(true);
      if (looksSealed(realFiles, target).sound) {
        expect(verifyInstalled(realFiles, scene.layout, 'app', '1', next.manifest).sound).toBe(true);
      }
      if (cut === null) {
        resolved.bundle.source.close();
        expect(change).toBeGreaterThan(20);
        return;
      }
    }
    expect.unreachable('writing has more steps than this test looks at');
  });
});

describe('work of a transaction', () => {
  it('that rotted on the disk is noticed, whatever its length, and fetched again', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    setUp(fixture, layout);
    const release = await fixture.build({ version: '1.0.52', files });
    const resolved = await fromFile(layout, release.path);
    await fetchInto(layout, resolved);
    const frames = readdirSync(join(layout.work, '1'));
    const largest = resolved.manifest.chunks.reduce((a, b) => (a.stored > b.stored ? a : b));
    expect(frames).toContain(largest.sha256);
    flip(join(layout.work, '1', largest.sha256));
    expect((await fetchInto(layout, resolved)).fetchedBytes).toBe(largest.stored);
    flip(join(layout.work, '1', largest.sha256));
    expect(attempt(() => writeInto(layout, resolved))).toMatchObject({ code: 'chunk-missing' });
    expect((await fetchInto(layout, resolved)).fetchedBytes).toBe(largest.stored);
    expect(writeInto(layout, resolved)).toBe(release.manifest);
    resolved.bundle.source.close();
  });

  it('keeps the manifest for a restart, by its digest', async () => {
    using scene = await installed();
    const place = { files: realFiles, layout: scene.layout };
    keepManifest(place, 7, scene.resolved.manifestBytes);
    expect(keptManifest(realFiles, scene.layout, 7, scene.release.manifest)?.manifest.version).toBe('1.0.52');
    expect(keptManifest(realFiles, scene.layout, 7, sha256('other'))).toBeNull();
    expect(keptManifest(realFiles, scene.layout, 8, scene.release.manifest)).toBeNull();
  });

  it('S3: is not begun on a disk that cannot be written', async () => {
    using scene = await installed();
    const readOnly: Files = {
      ...realFiles,
      create: (path, mode) => {
        if (path.startsWith(scene.layout.runtimes))
          throw Object.assign(new Error('EROFS: read-only'), { code: 'EROFS' });
        return realFiles.create(path, mode);
      },
    };
    const place = { layout: scene.layout, slot: scene.layout.slot('app', '1') };
    expect(attempt(() => probeWritable({ ...place, files: readOnly }))).toMatchObject({ code: 'read-only' });
    probeWritable({ ...place, files: realFiles });
    expect(existsSync(join(scene.layout.runtimes, '.probe'))).toBe(false);
  });

  it('S31: is not begun without room for all of it, and says the numbers', async () => {
    using scene = await installed();
    const { layout, resolved } = scene;
    const withFree = (bytes: number) => ({
      files: { ...realFiles, freeBytes: () => bytes },
      layout,
      tx: 9,
      slot: layout.slot('app', '1'),
      copiesFrames: true,
    });
    const refused = attempt(() => requireSpace(withFree(16_000_000), resolved.manifest, 1_000_000));
    expect(refused).toMatchObject({ code: 'no-space' });
    expect(String(refused)).toMatch(/needs 18\.\d MB .* 16\.0 MB are free/);
    requireSpace(withFree(19_000_000), resolved.manifest, 1_000_000);
  });

  it('is not begun without inodes for all of its files, however much space there is', async () => {
    using scene = await installed();
    const place = { layout: scene.layout, tx: 9, slot: scene.layout.slot('app', '1'), copiesFrames: true };
    const withInodes = (count: number | null) => ({ ...place, files: { ...realFiles, freeInodes: () => count } });
    const refused = attempt(() => requireSpace(withInodes(900), scene.resolved.manifest, 1_000));
    expect(refused).toMatchObject({ code: 'no-space' });
    expect(String(refused)).toMatch(/more files on the data partition, there is room for 900/);
    for (const enough of [5_000, null]) requireSpace(withInodes(enough), scene.resolved.manifest, 1_000);
  });
});

describe('pruning', () => {
  const nowhere = { version: '1.0.0', manifest: sha256('x'), securityVersion: 0 };
  const onSlot = (slot: SlotName, transaction: StateBody['transaction'] = null): StateBody => {
    const state = firstState(nowhere, nowhere);
    const committed = { ...nowhere, slot };
    return { ...state, app: { committed, previous: null }, updater: { committed, previous: null }, transaction };
  };

  it('S55: removes runtimes that no slot names, and never one that a proven slot names', async () => {
    using scene = await installed();
    const { layout, fixture } = scene;
    const next = await fixture.build({ version: '1.0.54', files, runtime: runtimeOf('b') });
    await installFile(layout, next.path, '1', 2);
    const updater = await fixture.build({ component: 'updater', version: '1.0.0', files, runtime: runtimeOf('c') });
    await installFile(layout, updater.path, '0', 3);
    expect(readdirSync(layout.runtimes)).toHaveLength(3);
    rmSync(layout.slot('app', '1'), { recursive: true });
    mkdirSync(join(layout.work, '3'), { recursive: true });
    prune(realFiles, layout, onSlot('0'));
    expect(readdirSync(layout.runtimes)).toHaveLength(2);
    expect(readdirSync(layout.work)).toEqual([]);
    expect(verifyInstalled(realFiles, layout, 'app', '0').sound).toBe(true);
    expect(verifyInstalled(realFiles, layout, 'updater', '0').sound).toBe(true);
  });

  it('leaves every runtime while a proven slot cannot say what it needs', async () => {
    using scene = await installed();
    rmSync(join(scene.slot, '.seal'));
    prune(realFiles, scene.layout, onSlot('0'));
    expect(readdirSync(scene.layout.runtimes)).toHaveLength(1);
  });
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

function attempt(work: () => unknown): unknown {
  try {
    work();
    return null;
  } catch (error) {
    return error;
  }
}

/** Real files that stop for good after so many changes. */
function powerCut(power: { left: number }): Files {
  const spend = () => {
    power.left -= 1;
    if (power.left < 0) throw Object.assign(new Error('power cut'), { code: 'TEST-POWER-CUT' });
  };
  const spending = <Args extends unknown[], Result>(operation: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      spend();
      return operation(...args);
    };
  };
  const { create, write, rename, unlink, removeTree, makeDirectory, sync, syncDirectory } = realFiles;
  return {
    ...realFiles,
    create: spending(create),
    write: spending(write),
    rename: spending(rename),
    unlink: spending(unlink),
    removeTree: spending(removeTree),
    makeDirectory: spending(makeDirectory),
    sync: spending(sync),
    syncDirectory: spending(syncDirectory),
  };
}
