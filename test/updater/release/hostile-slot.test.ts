import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { quickSeal } from '../../../updater/record/quick-look.ts';
import { keptManifest } from '../../../updater/release/resolve-release.ts';
import { verifySlot } from '../../../updater/release/verify-slot.ts';
import { type HostileScene, makeHostileScene } from './hostile-scene.ts';
import { fromFile } from './install.ts';

let scene: HostileScene;
beforeAll(async () => {
  scene = await makeHostileScene();
  await scene.install();
});
afterAll(() => scene[Symbol.dispose]());

/** What may stand in the place of a mark that the updater wrote once. */
const oddities: readonly (readonly [string, (path: string) => unknown])[] = [
  ['is nothing', () => undefined],
  ['is a directory', (path) => mkdirSync(path)],
  ['is a FIFO', (path) => execFileSync('mkfifo', [path])],
  ['is a link to itself', (path) => symlinkSync(path, path)],
  ['is a link to a device', (path) => symlinkSync('/dev/zero', path)],
  ['is empty', (path) => writeFileSync(path, '')],
  [
    'has a hundred megabytes',
    (path) => {
      writeFileSync(path, '');
      truncateSync(path, 100 * 1024 * 1024);
    },
  ],
  ['is nested a million deep', (path) => writeFileSync(path, `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`)],
  ['is not text', (path) => writeFileSync(path, Buffer.alloc(4_096, 0xff))],
];

describe('the manifest of a transaction', () => {
  it.each(oddities)('is not there when its file %s', (_name, plant) => {
    const { layout } = scene;
    mkdirSync(join(layout.work, '8'), { recursive: true });
    onTestFinished(() => rmSync(layout.work, { recursive: true }));
    plant(join(layout.work, '8', 'manifest.json'));
    expect(keptManifest(realFiles, layout, 8, sha256('manifest'))).toBeNull();
  });
});

describe('a slot', () => {
  for (const mark of ['.seal', '.manifest.json']) {
    it.each(oddities)(`is damaged, and nothing worse, when its ${mark} %s`, async (_name, plant) => {
      const slot = scene.layout.slot('app', '0');
      const path = join(slot, mark);
      expect(verifySlot(realFiles, slot).sound).toBe(true);
      const right = readFileSync(path);
      rmSync(path);
      onTestFinished(() => {
        rmSync(path, { recursive: true, force: true });
        writeFileSync(path, right);
      });
      plant(path);
      expect(verifySlot(realFiles, slot).sound).toBe(false);
      if (mark === '.seal') expect(quickSeal(realFiles, slot)).toBeNull();
      // It is no source of chunks for the next release either, and does not keep it away.
      await scene.attempt(() => fromFile(scene.layout, join(scene.bundles, '9.0.1.hfb')));
      expect(verifySlot(realFiles, scene.layout.slot('app', '1')).sound).toBe(true);
    });
  }

  it.each(['a\u0000b', '../../../../etc/passwd', '/etc/passwd', '.manifest.json', 'x'.repeat(300)])(
    'is damaged, and nothing worse, when its seal lists %j',
    (path) => {
      const slot = scene.layout.slot('app', '0');
      expect(verifySlot(realFiles, slot).sound).toBe(true);
      const right = readFileSync(join(slot, '.seal'), 'utf8');
      onTestFinished(() => writeFileSync(join(slot, '.seal'), right));
      writeFileSync(join(slot, '.seal'), right.replace('"main.js"', JSON.stringify(path)));
      expect(verifySlot(realFiles, slot).sound).toBe(false);
      expect(() => quickSeal(realFiles, slot)).not.toThrow();
    },
  );
});
