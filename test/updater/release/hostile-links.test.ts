import { mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { buildBundle, nodeRuntime } from '../../../image/bundle.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { quickSeal } from '../../../updater/record/quick-look.ts';
import { readSeal, verifySlot } from '../../../updater/release/verify-slot.ts';
import { sampleRelease, writeBundle } from '../../support/hostile/sample.ts';
import { treeDigest } from '../../support/hostile/tree-digest.ts';
import { recordFiles } from '../support/wrapped-files.ts';
import { type HostileScene, makeHostileScene } from './hostile-scene.ts';
import { fetchInto, fromFile, writeInto } from './install.ts';

/** A scene whose slot 1 holds the sample, with its link. */
async function installed(): Promise<HostileScene & { readonly slot: string; readonly path: string }> {
  const scene = await makeHostileScene();
  const { manifest, chunks } = sampleRelease('2.0.0');
  const path = writeBundle(
    scene.bundles,
    '2.0.0',
    await scene.sign('2.0.0', Buffer.from(JSON.stringify(manifest)), chunks),
  );
  await scene.install();
  await scene.attempt(() => fromFile(scene.layout, path));
  return { ...scene, slot: scene.layout.slot('app', '1'), path };
}

describe('a link of a release', () => {
  it('comes from the payload that the builder was given', async () => {
    using scene = await makeHostileScene();
    const dir = join(scene.bundles, 'payload');
    mkdirSync(join(dir, 'bin'), { recursive: true });
    writeFileSync(join(dir, 'main.js'), 'export {};\n');
    symlinkSync('../main.js', join(dir, 'bin/main'));
    const node = join(scene.bundles, 'node');
    writeFileSync(node, '#!/bin/false\n');
    const built = await buildBundle({
      payload: { kind: 'tree', dir, entry: 'main.js', runtime: nodeRuntime(node) },
      component: 'app',
      version: '2.0.0',
      securityVersion: 0,
      compatibility: { state: { reads: { min: 0, max: 1 }, writes: 1 } },
      stateBytesMax: 0,
      source: { commit: '', builtBy: '' },
      sbom: sha256(''),
      repository: scene.fixture.repository,
      outDir: scene.bundles,
    });
    await scene.install();
    await scene.attempt(() => fromFile(scene.layout, built.path));
    expect(readlinkSync(join(scene.layout.slot('app', '1'), 'bin/main'))).toBe('../main.js');
  });

  it('is a link with the signed target, in the slot and in its seal, and launch finds the slot whole', async () => {
    using scene = await installed();
    expect(readlinkSync(join(scene.slot, 'bin/tool'))).toBe('../lib/tool');
    expect(readFileSync(join(scene.slot, 'bin/tool'), 'utf8')).toBe('#!/bin/false\n');
    expect(readSeal(realFiles, scene.slot)?.links).toEqual([{ path: 'bin/tool', target: '../lib/tool' }]);
    expect(verifySlot(realFiles, scene.slot).sound).toBe(true);
    expect(quickSeal(realFiles, scene.slot)?.version).toBe('2.0.0');
  });

  it('is made after the last file, and its directory is synced after that', async () => {
    using scene = await installed();
    const { files, lines } = recordFiles();
    const resolved = await fromFile(scene.layout, scene.path);
    await fetchInto(scene.layout, resolved, '1', 4);
    writeInto(scene.layout, resolved, '1', 4, files);
    resolved.bundle.source.close();
    const at = (line: string) => lines.indexOf(line.replace('SLOT', scene.slot));
    const made = lines.findIndex((line) => line.startsWith('link '));
    expect(made).toBeGreaterThan(at('create SLOT/main.js'));
    expect(made).toBeGreaterThan(at('create SLOT/lib/tool'));
    expect(lines.indexOf(`syncDirectory ${scene.slot}/bin`)).toBeGreaterThan(made);
  });

  const harms: readonly (readonly [string, (slot: string) => void, string])[] = [
    ['is gone', (slot) => unlinkSync(join(slot, 'bin/tool')), 'wrong-link'],
    ['names something else', (slot) => relink(slot, 'bin/tool', '../main.js'), 'wrong-link'],
    ['names the same in other words', (slot) => relink(slot, 'bin/tool', '../lib/../lib/tool'), 'wrong-link'],
    ['leads outside', (slot) => relink(slot, 'bin/tool', '/etc/passwd'), 'wrong-link'],
    [
      'is a file with the right content',
      (slot) => {
        unlinkSync(join(slot, 'bin/tool'));
        writeFileSync(join(slot, 'bin/tool'), '#!/bin/false\n');
      },
      'wrong-link',
    ],
    ['has a neighbour that nobody signed', (slot) => symlinkSync('tool', join(slot, 'bin/more')), 'extra-file'],
  ];

  it.each(harms)('that %s is damage', async (_name, harm, reason) => {
    using scene = await installed();
    harm(scene.slot);
    expect(verifySlot(realFiles, scene.slot)).toMatchObject({ sound: false, reason });
  });
});

function relink(slot: string, path: string, target: string): void {
  unlinkSync(join(slot, path));
  symlinkSync(target, join(slot, path));
}

/** Moves a directory away and puts a link to it in its place: every file below has the right bytes. */
async function replacedByLink(path: string, elsewhere: string): Promise<void> {
  await execa('cp', ['-a', path, elsewhere]);
  rmSync(path, { recursive: true });
  symlinkSync(elsewhere, path);
}

describe('a link that somebody put on the disk', () => {
  it('in the place of a directory is damage, though all below it looks right', async () => {
    using scene = await installed();
    await replacedByLink(join(scene.slot, 'lib'), join(scene.bundles, 'lib'));
    expect(verifySlot(realFiles, scene.slot)).toMatchObject({ sound: false, reason: 'missing-file', path: 'lib' });
  });

  it('in the place of a slot is damage, though all behind it looks right', async () => {
    using scene = await installed();
    await replacedByLink(scene.slot, join(scene.bundles, 'slot'));
    expect(verifySlot(realFiles, scene.slot)).toMatchObject({ sound: false, reason: 'missing-file', path: '' });
  });

  const places: readonly (readonly [string, (slot: string, outside: string) => void])[] = [
    ['in the place of the slot', (slot, outside) => symlinkSync(outside, slot)],
    ['to nothing in the place of the slot', (slot) => symlinkSync('/nothing/here', slot)],
    ['in the place of a directory of the slot', (slot, outside) => symlinkSync(outside, join(made(slot), 'lib'))],
    ['in the place of a file', (slot, outside) => symlinkSync(join(outside, 'main.js'), join(made(slot), 'main.js'))],
    ['in the place of the seal', (slot, outside) => symlinkSync(join(outside, '.seal'), join(made(slot), '.seal'))],
    ['in the place of the new seal', (slot, outside) => symlinkSync(outside, join(made(slot), '.seal.tmp'))],
  ];

  it.each(places)('%s is not followed when the slot is written', async (_name, plant) => {
    using scene = await installed();
    rmSync(scene.slot, { recursive: true });
    const outside = join(scene.bundles, 'outside');
    mkdirSync(join(outside, 'deep'), { recursive: true });
    for (const name of ['.seal', '.committed', 'main.js', 'tool', 'deep/file'])
      writeFileSync(join(outside, name), name);
    const before = treeDigest(outside);
    plant(scene.slot, outside);
    await scene.attempt(() => fromFile(scene.layout, scene.path));
    expect(treeDigest(outside)).toBe(before);
    expect(verifySlot(realFiles, scene.slot).sound).toBe(true);
  });

  it('in the place of the work of a transaction is not followed', async () => {
    using scene = await installed();
    const outside = join(scene.bundles, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'manifest.json'), 'untouched');
    const before = treeDigest(outside);
    symlinkSync(outside, join(scene.layout.work, '7'));
    const resolved = await fromFile(scene.layout, scene.path);
    resolved.bundle.source.close();
    const { keepManifest, keptManifest } = await import('../../../updater/release/resolve-release.ts');
    keepManifest({ files: realFiles, layout: scene.layout }, 7, resolved.manifestBytes);
    expect(treeDigest(outside)).toBe(before);
    expect(keptManifest(realFiles, scene.layout, 7, resolved.manifestDigest)?.manifest.version).toBe('2.0.0');
  });
});

/** A slot that somebody began to write. */
function made(slot: string): string {
  mkdirSync(slot, { recursive: true });
  return slot;
}
