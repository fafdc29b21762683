import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { unpackPlainFrame } from '../../../updater/release/frame.ts';
import { verifySlot } from '../../../updater/release/verify-slot.ts';
import { contentCases } from '../../support/hostile/content-cases.ts';
import { frameCases, withFrame } from '../../support/hostile/frame-cases.ts';
import { pathCases } from '../../support/hostile/path-cases.ts';
import { programOf, sampleRelease, writeBundle } from '../../support/hostile/sample.ts';
import { bomb } from '../../support/hostile/zstd-frame.ts';
import { type HostileScene, makeHostileScene } from './hostile-scene.ts';
import { anything, fromFile } from './install.ts';

const manifestCases = [...pathCases, ...contentCases].map((one, index) => ({ ...one, version: `2.0.${index}` }));
const chunkCases = frameCases.map((one, index) => ({ ...one, version: `3.0.${index}` }));

/** Signed as well, and right: what an appliance must not mind. */
const ignored = { version: '4.0.0', files: { mode: 0o4755, owner: 0, type: 'device', major: 8 } };

let scene: HostileScene;
const pathOf = (version: string): string => join(scene.bundles, `${version}.hfb`);

beforeAll(async () => {
  scene = await makeHostileScene();
  const add = async (version: string, manifest: unknown, chunks: Buffer): Promise<void> => {
    const bytes = Buffer.isBuffer(manifest) ? manifest : Buffer.from(JSON.stringify(manifest));
    writeBundle(scene.bundles, version, await scene.sign(version, bytes, chunks));
  };
  for (const { version, change } of manifestCases) {
    const { manifest, chunks } = sampleRelease(version);
    await add(version, change(manifest), chunks);
  }
  for (const one of chunkCases) {
    const { manifest, chunks } = withFrame(sampleRelease(one.version), programOf(one.version), one);
    await add(one.version, manifest, chunks);
  }
  const { manifest, chunks } = sampleRelease(ignored.version);
  await add(
    ignored.version,
    { ...manifest, files: manifest.files.map((file) => ({ ...file, ...ignored.files })) },
    chunks,
  );
  await scene.install();
});

afterAll(() => scene[Symbol.dispose]());

describe('a signed manifest', () => {
  it.each(manifestCases)('is not followed with $name', async ({ code, version }) => {
    await scene.expectRefused(code, () => fromFile(scene.layout, pathOf(version)));
  });

  it('gives a file no mode, owner or kind but ours, whatever it says about them', async () => {
    await scene.attempt(() => fromFile(scene.layout, pathOf(ignored.version)));
    const slot = scene.layout.slot('app', '1');
    expect(verifySlot(realFiles, slot).sound).toBe(true);
    expect([lstatSync(join(slot, 'main.js')).mode, lstatSync(join(slot, 'lib/tool')).mode]).toEqual([
      0o100644, 0o100755,
    ]);
  });
});

describe('a frame of a signed release', () => {
  it.each(chunkCases)('is not written when it is one $name', async ({ version }) => {
    await scene.expectRefused('bad-chunk', () => fromFile(scene.layout, pathOf(version)));
  });

  it('does not become more than its chunk with a dictionary either', () => {
    const dictionary = Buffer.alloc(64 * 1024, 'dictionary');
    expect(() => unpackPlainFrame({ frame: bomb(64 * 1024 * 1024), sizeMax: 4_096, dictionary })).toThrow(RangeError);
  });
});

describe('a signed release that does not fit', () => {
  const odd = { reads: { min: 0, max: 1 }, writes: 1 };
  const needs = [
    ['updater', { updater: '1.0.1' }, 'needs updater 1.0.1 or newer, this is 1.0.0', 'Update the updater first'],
    [
      'os',
      { os: '2.0.0' },
      'needs operating system 2.0.0 or newer, here is 1.9.0',
      'Update the operating system first',
    ],
    ['from', { from: '1.0.50' }, 'can only follow app 1.0.50 or newer, here is 1.0.49', 'Install app 1.0.50'],
    ['hardware', { hardware: ['board-a', 'board-b'] }, 'is for board-a, board-b, not for board-c', 'Choose a release'],
  ] as const;
  const here = {
    ...anything,
    updater: '1.0.0',
    installed: { app: '1.0.49', updater: '1.0.0', os: '1.9.0' },
    hardware: 'board-c',
  };

  it.each(needs)('says so by %s, and what to do', async (_name, compatibility, what, next) => {
    using other = await makeHostileScene();
    const { manifest, chunks } = sampleRelease('5.0.0');
    const bytes = Buffer.from(JSON.stringify({ ...manifest, compatibility: { ...compatibility, state: odd } }));
    const path = writeBundle(other.bundles, '5.0.0', await other.sign('5.0.0', bytes, chunks));
    await other.install();
    const error = await other.expectRefused('incompatible', () => fromFile(other.layout, path, here));
    expect(error.message).toContain(what);
    expect(error.next).toContain(next);
    // What nobody knows is not new enough; and what is new enough is taken.
    if (!('updater' in compatibility)) {
      const unknown = { ...anything, updater: '1.0.0', hardware: null };
      await other.expectRefused('incompatible', () => fromFile(other.layout, path, unknown));
    }
    const newer = { app: '1.0.50', updater: '1.0.1', os: '2.0.0' };
    const fitting = { ...here, updater: '1.0.1', installed: newer, hardware: 'board-b' };
    await other.attempt(() => fromFile(other.layout, path, fitting));
    expect(existsSync(other.layout.slot('app', '1'))).toBe(true);
    expect(readFileSync(join(other.layout.slot('app', '1'), 'main.js'))).toEqual(programOf('5.0.0'));
  });
});
