import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noSources } from '../../../protocol/sources.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { openBundle } from '../../../updater/release/open-bundle.ts';
import { verifyInstalled } from '../../../updater/release/verify-slot.ts';
import { takeSources } from '../../../updater/trust/sources.ts';
import { loadTrust } from '../../../updater/trust/trust-store.ts';
import {
  type BuiltRelease,
  makeAppliance,
  makeReleaseFixture,
  noise,
  type ReleaseFixture,
} from '../../support/bundle-fixture.ts';
import { answerHtml, answerStatus, flipByte, sendOther } from '../../support/lying-server.ts';
import type { Misbehaviour } from '../../support/release-server.ts';
import { type ReleaseServer, startReleaseServer } from '../../support/release-server.ts';
import { truncateAfter } from '../../support/truncating-server.ts';
import { fetchInto, fromServer, setUp, writeInto } from './install.ts';

const name = '/bundles/app-1.0.52.hfb';
const files = { 'main.js': noise('main', 3_000_000) };

/** A cache and a server; the cache has the same release in an older bundle, as it was before more was released. */
describe('a cache between appliance and server that', () => {
  let fixture: ReleaseFixture;
  let scene: ReturnType<typeof makeAppliance>;
  let release: BuiltRelease;
  let other: BuiltRelease;
  let cache: ReleaseServer;
  let server: ReleaseServer;
  const kept = mkdtempSync(join(tmpdir(), 'holdfast-lying-cache-'));
  const older = (): Buffer => readFileSync(join(kept, basename(name)));
  beforeEach(async () => {
    fixture = await makeReleaseFixture();
    scene = makeAppliance();
    setUp(fixture, scene.layout);
    release = await fixture.build({ version: '1.0.52', files });
    mkdirSync(kept, { recursive: true });
    copyFileSync(release.path, join(kept, basename(name)));
    for (let patch = 60; patch < 66; patch += 1) {
      await fixture.build({ version: `1.0.${patch}`, files: { 'main.js': Buffer.from('small') } });
    }
    // More targets, so the bundle that is built again is another one, around the same manifest.
    other = await fixture.build({ version: '1.0.54', files: { 'main.js': noise('other', 200_000) } });
    const again = await fixture.build({ version: '1.0.52', files });
    expect(again.manifest).toBe(release.manifest);
    fixture.publish([again, other]);
    [cache, server] = [await startReleaseServer(fixture.servedDir), await startReleaseServer(fixture.servedDir)];
    const releases = [{ name: 'cache', kind: 'cache' as const, url: cache.base }];
    takeSources({ files: realFiles, layout: scene.layout }, { ...noSources, releases }, 'page');
  });
  afterEach(async () => {
    for (const one of [cache, server]) await one[Symbol.asyncDispose]();
    scene[Symbol.dispose]();
    fixture[Symbol.dispose]();
    rmSync(kept, { recursive: true, force: true });
  });
  const install = async () => {
    const resolved = await fromServer(scene.layout, server.base, release);
    const fetched = await fetchInto(scene.layout, resolved);
    writeInto(scene.layout, resolved);
    return { ...fetched, sound: verifyInstalled(realFiles, scene.layout, 'app', '0', release.manifest).sound };
  };
  const asked = (one: ReleaseServer) => one.requests.filter((line) => line.includes('bundles')).length;

  /** One bit of what lies before the frames. */
  const rot = (bytes: Buffer, at: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    return changed;
  };
  const signatureIn = (bytes: Buffer): number => bytes.indexOf('"sig"', bytes.indexOf('metadata/targets.json')) + 10;

  it.each<[string, () => Misbehaviour]>([
    ['has garbage under the name', () => sendOther(name, noise('garbage', 500_000))],
    ['has nothing under the name but an empty file', () => sendOther(name, Buffer.alloc(0))],
    ['has another release under the name', () => sendOther(name, readFileSync(other.path))],
    ['has half of it', () => sendOther(name, older().subarray(0, 1_000_000))],
    ['answers with a page, as a portal does', () => answerHtml(name, false)],
    ['answers with a page as if it were the range', () => answerHtml(name, true)],
    ['refuses it', () => answerStatus(name, 403)],
    [
      'has it with a wrong signature in the metadata that it carries',
      () => {
        const bytes = readFileSync(release.path);
        return sendOther(name, rot(bytes, signatureIn(bytes)));
      },
    ],
  ])('%s does not hold the release up', async (_what, misbehaviour) => {
    cache.misbehave(misbehaviour());
    expect(await install()).toMatchObject({ sound: true });
    expect(asked(cache)).toBeGreaterThan(0);
    expect(asked(server)).toBeGreaterThan(0);
  });

  it('has the release in an older bundle is good enough: the frames are the same', async () => {
    cache.misbehave(sendOther(name, older()));
    expect(older().length).not.toBe(readFileSync(release.path).length);
    expect(await install()).toMatchObject({ sound: true });
    expect(asked(server)).toBe(0);
  });

  it('breaks off within an older bundle is carried on by the server, whose frames lie elsewhere', async () => {
    const bytes = older();
    const breakOff = truncateAfter(name, 1_000_000);
    const sendOld = sendOther(name, bytes);
    cache.misbehave((request, response, file) => {
      return breakOff(request, response, { ...file, bytes }) || sendOld(request, response, file);
    });
    const { sound, fetchedBytes } = await install();
    expect(sound).toBe(true);
    expect(asked(server)).toBeGreaterThan(0);
    expect(server.bytesSent('bundles/app-1.0.52.hfb')).toBeLessThan(fetchedBytes);
  });

  it('flips a bit in a chunk of an older bundle is asked no more', async () => {
    const bytes = older();
    const { chunks } = await openBundle(sourceOf(bytes));
    cache.misbehave((request, response, file) =>
      flipByte(name, chunks.position + 2_000)(request, response, { ...file, bytes }),
    );
    expect(await install()).toMatchObject({ sound: true });
    expect(asked(server)).toBeGreaterThan(0);
  });

  it('lies about the metadata too, while the server is away, is passed over for one that does not', async () => {
    const honest = await startReleaseServer(fixture.servedDir);
    const releases = [cache, honest].map(({ base }, index) => ({
      name: `${index}`,
      kind: 'cache' as const,
      url: base,
    }));
    takeSources({ files: realFiles, layout: scene.layout }, { ...noSources, number: 2, releases }, 'page');
    cache.misbehave(answerHtml('timestamp.json', false));
    server.misbehave(answerStatus('', 503));
    expect(await install()).toMatchObject({ sound: true });
    await honest[Symbol.asyncDispose]();
  });

  it('has only an older bundle takes nothing back from what is trusted', async () => {
    await install();
    const before = loadTrust({ files: realFiles, layout: scene.layout });
    cache.misbehave(sendOther(name, older()));
    rmSync(scene.layout.slot('app', '0'), { recursive: true });
    await install();
    expect(loadTrust({ files: realFiles, layout: scene.layout }).targets?.version).toBe(before.targets?.version);
  });

  it('is joined by a server that lies as well: its failure is the one that is told', async () => {
    cache.misbehave(sendOther(name, noise('garbage', 500_000)));
    server.misbehave(sendOther(name, readFileSync(other.path)));
    await expect(install()).rejects.toMatchObject({ code: 'wrong-manifest' });
    cache.misbehave(sendOther(name, readFileSync(other.path)));
    server.misbehave(sendOther(name, noise('garbage', 500_000)));
    await expect(install()).rejects.toMatchObject({ code: 'not-a-bundle' });
  });
});

const sourceOf = (bytes: Buffer) => ({
  name: 'bytes',
  size: bytes.length,
  read: async (position: number, length: number) => bytes.subarray(position, position + length),
  stream: async () => undefined,
  close: () => undefined,
});
