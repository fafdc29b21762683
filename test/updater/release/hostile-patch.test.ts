import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { verifySlot } from '../../../updater/release/verify-slot.ts';
import { frameCases } from '../../support/hostile/frame-cases.ts';
import { programOf, sampleRelease, writeBundle } from '../../support/hostile/sample.ts';
import { type HostileScene, makeHostileScene } from './hostile-scene.ts';
import { fetchInto, fromFile, writeInto } from './install.ts';

/** What is installed, and so what the patches say that they are made against. */
const base = programOf('9.0.0');
const cases = frameCases.map((one, index) => ({ ...one, version: `3.1.${index}` }));

let scene: HostileScene;

beforeAll(async () => {
  scene = await makeHostileScene();
  for (const { version, frame } of cases) {
    const { manifest, chunks } = sampleRelease(version);
    const patches = frame(programOf(version));
    const patch = { offset: 0, stored: patches.length, dictionary: [{ base: 0, position: 0, length: base.length }] };
    const listed = manifest.chunks.map((chunk, index) => (index === 0 ? { ...chunk, patches: [patch] } : chunk));
    const signed = { ...manifest, chunks: listed, bases: [{ sha256: sha256(base), size: base.length }] };
    const parts = await scene.sign(version, Buffer.from(JSON.stringify(signed)), chunks);
    writeBundle(scene.bundles, version, { ...parts, patches });
  }
  await scene.install();
});
afterAll(() => scene[Symbol.dispose]());

describe('a patch against what is installed', () => {
  it.each(cases)('that is a frame $name is tried, and its chunk comes whole instead', async ({ version }) => {
    const resolved = await fromFile(scene.layout, join(scene.bundles, `${version}.hfb`));
    // As from a network: what lies on this machine would be read where it lies, without any patch.
    const { readNow: _here, ...source } = resolved.bundle.source;
    const elsewhere = { ...resolved, bundle: { ...resolved.bundle, source } };
    const [chunk] = resolved.manifest.chunks;
    const { fetchedBytes } = await fetchInto(scene.layout, elsewhere, '1', 5);
    expect(fetchedBytes).toBe((chunk?.stored ?? 0) + (chunk?.patches?.[0]?.stored ?? 0));
    writeInto(scene.layout, elsewhere, '1', 5);
    resolved.bundle.source.close();
    const slot = scene.layout.slot('app', '1');
    expect(verifySlot(realFiles, slot, resolved.manifestDigest).sound).toBe(true);
    expect(readFileSync(join(slot, 'main.js'))).toEqual(programOf(version));
  });
});
