import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { manifestShape } from '../../../protocol/manifest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { chunkStore, workDirectory } from '../../../updater/release/chunk-store.ts';
import { noDevices } from '../../../updater/release/device-slots.ts';
import { verifyInstalled } from '../../../updater/release/verify-slot.ts';
import {
  type BuiltRelease,
  makeAppliance,
  makeReleaseFixture,
  noise,
  type ReleaseFixture,
} from '../../support/bundle-fixture.ts';
import { type ReleaseServer, startReleaseServer } from '../../support/release-server.ts';
import { fetchInto, fromFile, fromServer, installFile, setUp, writeInto } from './install.ts';

/** Two releases that differ in a few bytes of every 100 KiB: no chunk is the same, and every one is nearly so. */
const program = noise('program', 2_400_000);
function changed(seed: string): Buffer {
  const bytes = Buffer.concat([Buffer.from(`inserted at the front of ${seed};`), program]);
  for (let at = 50_000; at < bytes.length; at += 100_000) noise(`${seed} ${at}`, 32).copy(bytes, at);
  return bytes;
}
const files = (bytes: Buffer) => ({ 'main.js': Buffer.from('// main'), 'program.bin': bytes });

let fixture: ReleaseFixture;
let scene: ReturnType<typeof makeAppliance>;
let server: ReleaseServer;
let before: BuiltRelease;
let after: BuiltRelease;

beforeEach(async () => {
  fixture = await makeReleaseFixture();
  scene = makeAppliance();
  setUp(fixture, scene.layout);
  before = await fixture.build({ version: '1.0.52', files: files(program) });
  after = await fixture.build({ version: '1.0.56', files: files(changed('next')), bases: [before] });
  fixture.publish([before, after]);
  server = await startReleaseServer(fixture.servedDir);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  scene[Symbol.dispose]();
  fixture[Symbol.dispose]();
});

async function manifestOf(release: BuiltRelease) {
  const resolved = await fromFile(scene.layout, release.path);
  resolved.bundle.source.close();
  return resolved.manifest;
}

/** Fetches and writes the second release into slot 1. @returns the bytes of frames that travelled */
async function update(): Promise<number> {
  const resolved = await fromServer(scene.layout, server.base, after);
  const { fetchedBytes } = await fetchInto(scene.layout, resolved, '1');
  writeInto(scene.layout, resolved, '1');
  return fetchedBytes;
}
const isWhole = () =>
  verifyInstalled(realFiles, scene.layout, 'app', '1', after.manifest).sound &&
  readFileSync(join(scene.layout.slot('app', '1'), 'program.bin')).equals(changed('next'));

describe('a release with patches', () => {
  it('has one for each chunk that an earlier release has nearly', async () => {
    const { chunks, bases } = await manifestOf(after);
    const patched = chunks.filter(({ patches }) => patches !== undefined);
    expect(patched.length).toBeGreaterThan(4);
    expect(bases).toEqual([{ sha256: sha256(program), size: program.length }]);
    for (const { patches, stored } of patched) expect(patches?.[0]?.stored).toBeLessThan(stored / 10);
  });

  it('is the same to the byte when it is built again', async () => {
    const bytes = readFileSync(after.path);
    await fixture.build({ version: '1.0.56', files: files(changed('next')), bases: [before] });
    expect(readFileSync(after.path).equals(bytes)).toBe(true);
  });

  it('costs an appliance that has the earlier one a hundredth of its size', async () => {
    await installFile(scene.layout, before.path, '0');
    expect(await update()).toBeLessThan(program.length / 100);
    expect(isWhole()).toBe(true);
  });

  it('costs all of its chunks where the earlier one is not', async () => {
    expect(await update()).toBeGreaterThan(program.length);
    expect(isWhole()).toBe(true);
  });

  it('falls back to whole chunks, by itself, where the earlier one rotted', async () => {
    await installFile(scene.layout, before.path, '0');
    const rotten = join(scene.layout.slot('app', '0'), 'program.bin');
    const bytes = readFileSync(rotten);
    noise('rot', 600_000).copy(bytes, 900_000);
    writeFileSync(rotten, bytes);
    const fetched = await update();
    expect(fetched).toBeGreaterThan(program.length / 10);
    expect(fetched).toBeLessThan(program.length * 0.9);
    expect(isWhole()).toBe(true);
  });

  it('falls back to whole chunks where a base is not as long as it should be', async () => {
    await installFile(scene.layout, before.path, '0');
    const manifest = await manifestOf(after);
    const [first] = manifest.chunks.filter(({ patches }) => patches !== undefined);
    const place = { files: realFiles, layout: scene.layout, tx: 9, slot: '', devices: noDevices, bundle: null };
    const store = chunkStore({ ...place, bases: manifest.bases });
    const patch = first === undefined ? null : store.patchFor(first);
    truncateSync(join(scene.layout.slot('app', '0'), 'program.bin'), 10);
    expect(patch).not.toBeNull();
    expect(() => first !== undefined && store.keep(first, patch, Buffer.alloc(patch?.stored ?? 0))).toThrow(
      expect.objectContaining({ code: 'bad-chunk' }),
    );
  });

  it('goes on where it was cut: patches that are here are not fetched again', async () => {
    await installFile(scene.layout, before.path, '0');
    const resolved = await fromServer(scene.layout, server.base, after);
    await fetchInto(scene.layout, resolved, '1');
    const kept = readdirSync(workDirectory(scene.layout, 1)).filter((name) => name.includes('.patch-'));
    expect(kept.length).toBeGreaterThan(4);
    expect((await fetchInto(scene.layout, resolved, '1')).fetchedBytes).toBe(0);
    writeFileSync(join(workDirectory(scene.layout, 1), kept[0] ?? ''), 'rotten');
    const again = await fetchInto(scene.layout, resolved, '1');
    expect(again.fetchedBytes).toBeGreaterThan(0);
    expect(again.fetchedBytes).toBeLessThan(10_000);
  });

  it('never lets a patch give other bytes than were signed, whatever its dictionary is', async () => {
    await installFile(scene.layout, before.path, '0');
    const manifest = await manifestOf(after);
    const chunk = manifest.chunks.find(({ patches }) => patches !== undefined);
    const patch = chunk?.patches?.[0];
    if (chunk === undefined || patch === undefined) throw new Error('no patch');
    const resolved = await fromFile(scene.layout, after.path);
    const at = (resolved.bundle.patches?.position ?? 0) + patch.offset;
    const frame = await resolved.bundle.source.read(at, patch.stored);
    resolved.bundle.source.close();
    const place = { files: realFiles, layout: scene.layout, tx: 9, slot: '', devices: noDevices, bundle: null };
    const elsewhere = { ...patch, dictionary: patch.dictionary.map((extent) => ({ ...extent, position: 0 })) };
    const lying = { ...chunk, patches: [elsewhere] };
    const store = chunkStore({ ...place, bases: manifest.bases });
    realFiles.makeDirectory(scene.layout.work, 0o700);
    realFiles.makeDirectory(workDirectory(scene.layout, 9), 0o700);
    const attempt = () => store.keep(lying, elsewhere, frame);
    if (patch.dictionary.some(({ position }) => position > 0)) {
      expect(attempt).toThrow(expect.objectContaining({ code: 'bad-chunk' }));
    }
    store.keep(chunk, patch, frame);
    expect(sha256(store.read(chunk) ?? '')).toBe(chunk.sha256);
  });

  it('is refused when a patch asks for more of a base than there is', async () => {
    const manifest = await manifestOf(after);
    const chunks = manifest.chunks.map((chunk) =>
      chunk.patches === undefined
        ? chunk
        : {
            ...chunk,
            patches: [{ ...chunk.patches[0], dictionary: [{ base: 0, position: program.length, length: 1 }] }],
          },
    );
    expect(manifestShape.safeParse({ ...manifest, chunks }).success).toBe(false);
    expect(manifestShape.safeParse(manifest).success).toBe(true);
  });
});
