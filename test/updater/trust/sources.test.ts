import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sourcesStepMax } from '../../../protocol/bounded-step.ts';
import { directEntry } from '../../../protocol/network-path.ts';
import { noSources, type Sources } from '../../../protocol/sources.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { verifyInstalled } from '../../../updater/release/verify-slot.ts';
import {
  inOrder,
  pathInUse,
  readSources,
  settleSetUpPath,
  sourcesAnswered,
  sourcesInUse,
  takeSignedSources,
  takeSources,
} from '../../../updater/trust/sources.ts';
import {
  type BuiltRelease,
  makeAppliance,
  makeReleaseFixture,
  noise,
  type ReleaseFixture,
} from '../../support/bundle-fixture.ts';
import { answerStatus, flipByte, ignoreRange, sendWhole } from '../../support/lying-server.ts';
import { type ReleaseServer, startReleaseServer } from '../../support/release-server.ts';
import { truncateAfter } from '../../support/truncating-server.ts';
import { fetchInto, fromServer, setUp, writeInto } from '../release/install.ts';

const url = (name: string) => `http://${name}.site:8080/releases`;
const some: Sources = { ...noSources, seq: 1, releases: [{ name: 'cache', kind: 'cache', url: url('cache') }] };

describe('sources', () => {
  let scene: ReturnType<typeof makeAppliance>;
  beforeEach(() => {
    scene = makeAppliance();
  });
  afterEach(() => scene[Symbol.dispose]());
  const place = () => ({ files: realFiles, layout: scene.layout });

  it('are the server alone where nobody set any, or where the file is damaged', () => {
    expect(sourcesInUse(place())).toEqual([noSources]);
    for (const text of ['', '{', '[]', '{"v":2}', 'x'.repeat(200_000)]) {
      writeFileSync(scene.layout.sources, text);
      expect(sourcesInUse(place())).toEqual([noSources]);
    }
    // Each stepped aside, so that nothing is in the way of the next ones.
    expect(existsSync(scene.layout.sources)).toBe(false);
    mkdirSync(scene.layout.sources);
    expect(sourcesInUse(place())).toEqual([noSources]);
  });

  const signed = (sources: Sources, targets: number, root = 1) =>
    takeSignedSources(place(), sources, { root, targets }).outcome;
  const byPerson = (sources: object) => takeSources(place(), { ...noSources, ...sources }, 'page').outcome;

  it('that are signed are taken when they are others than the last signed ones, from newer metadata', () => {
    expect(signed(some, 4)).toBe('changed');
    expect(signed(some, 5)).toBe('unchanged');
    expect(signed({ ...some, proxy: 'http://proxy:1' }, 4)).toBe('unchanged');
    expect(signed({ ...some, proxy: 'http://proxy:1' }, 5)).toBe('changed');
    // After a recovery the versions begin again under a newer root.
    expect(signed({ ...some, proxy: 'http://proxy:2' }, 1, 2)).toBe('changed');
  });

  it('that a person sets hold now, and until the signed ones change', () => {
    signed({ ...some, seq: 5 }, 4);
    expect(byPerson({ proxy: 'http://proxy:1' })).toBe('changed');
    expect(readSources(place())?.current).toMatchObject({ seq: 6, origin: 'page', proxy: 'http://proxy:1' });
    expect(signed({ ...some, seq: 5 }, 9)).toBe('unchanged');
    expect(readSources(place())?.current).toMatchObject({ origin: 'page' });
    expect(signed({ ...some, seq: 6 }, 10)).toBe('changed');
    expect(readSources(place())?.current).toMatchObject({ origin: 'targets', releases: some.releases });
  });

  it.each([2 ** 53 - 1, 2 ** 40, sourcesStepMax + 1])(
    'under the number %d from a person or a stick are refused',
    (seq) => {
      for (const origin of ['page', 'stick'] as const) {
        expect(takeSources(place(), { ...some, seq }, origin)).toMatchObject({
          outcome: 'refused',
          code: 'sources-number',
        });
      }
      expect(readSources(place())).toBeNull();
    },
  );

  it('under the highest number there is shut neither a person nor the signed ones out', () => {
    const current = { ...noSources, seq: 2 ** 53 - 1, origin: 'stick' };
    writeFileSync(scene.layout.sources, JSON.stringify({ v: 1, current, previous: null }));
    expect(signed(some, 4)).toBe('unchanged'); // an older updater kept no digest: they may be what a person replaced
    expect(signed({ ...some, seq: 2 }, 5)).toBe('changed');
    writeFileSync(scene.layout.sources, JSON.stringify({ v: 1, current, previous: null }));
    expect(byPerson({ proxy: 'http://proxy:1', seq: 2 ** 53 - 1 })).toBe('changed');
    expect(readSources(place())?.current).toMatchObject({ seq: 1, proxy: 'http://proxy:1' });
  });

  it('can always be read back, whatever came in which order', () => {
    const number = fc.oneof(fc.nat(2_000), fc.maxSafeNat(), fc.constant(2 ** 53 - 1));
    const proxy = fc.constantFrom(null, 'http://proxy:1', 'http://user:p%40ss@proxy:2');
    const last = fc.constantFrom(null, { ...directEntry, proxy: 'http://set-up:1' });
    const message = fc.record({
      seq: number,
      proxy,
      origin: fc.constantFrom('page', 'stick', 'targets'),
      targets: number,
      answers: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), last, (messages, setUp) => {
        rmSync(scene.layout.sources, { force: true });
        if (setUp !== null) settleSetUpPath(place(), setUp);
        let isThere = setUp !== null;
        for (const { seq, proxy, origin, targets, answers } of messages) {
          const given = { ...noSources, seq, proxy };
          const { outcome } =
            origin === 'targets'
              ? takeSignedSources(place(), given, { root: 1, targets })
              : takeSources(place(), given, origin === 'page' ? 'page' : 'stick');
          isThere ||= outcome === 'changed';
          if (outcome === 'changed') expect(readSources(place())?.current.proxy).toBe(proxy);
          expect(readSources(place()) !== null).toBe(isThere);
          if (answers) sourcesAnswered(place(), { ...directEntry, proxy });
          expect(pathInUse(place()).length).toBeLessThanOrEqual(3);
          expect(pathInUse(place())).toContainEqual(setUp ?? directEntry);
        }
        if (!isThere) return;
        // A person's way back, whatever number is stored.
        const known = readSources(place())?.current ?? noSources;
        expect(takeSources(place(), { ...known, proxy: 'http://back:1' }, 'page').outcome).toBe('changed');
      }),
      { numRuns: 200 },
    );
  });

  it('before the new ones are kept until an answer over those was verified, over any number of changes', () => {
    signed(some, 1);
    sourcesAnswered(place(), directEntry);
    expect(readSources(place())?.previous).toBeNull();
    byPerson({ proxy: 'http://wrong:1' });
    byPerson({ proxy: 'http://wrong:2' });
    expect(sourcesInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://wrong:2', null]);
    expect(pathInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://wrong:2', null]);
    sourcesAnswered(place(), directEntry);
    expect(sourcesInUse(place())).toHaveLength(2);
    sourcesAnswered(place(), { ...directEntry, proxy: 'http://wrong:2' });
    expect(sourcesInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://wrong:2']);
    expect(pathInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://wrong:2', null]);
  });

  it('that an older updater wrote name the path that was verified last', () => {
    const write = (file: object) => writeFileSync(scene.layout.sources, JSON.stringify({ v: 1, ...file }));
    const current = { ...noSources, seq: 7, proxy: 'http://new:1', origin: 'targets' };
    write({ current, previous: { ...noSources, proxy: 'http://old:1' } });
    expect(pathInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://new:1', 'http://old:1', null]);
    write({ current, previous: null });
    expect(pathInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://new:1', null]);
    byPerson({ proxy: 'http://newest:1' });
    expect(pathInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://newest:1', 'http://new:1', null]);
  });

  it('hold what set-up reached the server over as the first path, and as verified', () => {
    settleSetUpPath(place(), directEntry);
    expect(readSources(place())).toBeNull();
    const entry = { proxy: 'http://site:1', noProxy: ['.local'], ca: { pins: [], pem: [] } };
    settleSetUpPath(place(), entry);
    expect(pathInUse(place())).toEqual([entry]);
    expect(readSources(place())).toMatchObject({ previous: null, verified: entry, setUp: entry });
  });

  it('keep what set-up reached the server over as the last path, until set-up reaches it over one that is not known', () => {
    const ca = { pins: ['ab'.repeat(32)], pem: ['-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'] };
    const over = (proxy: string | null) => ({ proxy, ca });
    const ends = () => pathInUse(place()).map(({ proxy }) => proxy);
    settleSetUpPath(place(), over(null));
    byPerson({ proxy: 'http://page:1' });
    sourcesAnswered(place(), { ...directEntry, proxy: 'http://page:1' });
    signed({ ...some, proxy: 'http://signed:1' }, 1);
    expect(pathInUse(place()).at(-1)).toEqual(over(null));
    expect(ends()).toEqual(['http://signed:1', 'http://page:1', null]);
    settleSetUpPath(place(), { ...directEntry, proxy: 'http://page:1' });
    expect(pathInUse(place()).at(-1)).toEqual(over(null));
    settleSetUpPath(place(), over('http://moved:1'));
    byPerson({ proxy: 'http://page:2' });
    sourcesAnswered(place(), { ...directEntry, proxy: 'http://page:2' });
    expect(pathInUse(place()).at(-1)).toEqual(over('http://moved:1'));
  });

  it.each([
    ['an address of another kind', { ...some, proxy: 'ftp://proxy' }],
    ['a file', { ...some, releases: [{ name: 'x', kind: 'cache', url: 'file:///etc' }] }],
    ['a rate of nothing', { ...some, rateBytesPerS: 0 }],
    ['nine sources', { ...some, releases: Array.from({ length: 9 }, () => some.releases[0]) }],
    ['no object', 7],
  ])('that are %s are refused in words, and nothing changes', (_what, given) => {
    expect(takeSources(place(), given, 'page')).toMatchObject({
      outcome: 'refused',
      text: expect.stringMatching(/Nothing was changed/),
    });
    expect(readSources(place())).toBeNull();
  });

  it('are asked in the order neighbour, cache, CDN', () => {
    const kinds = ['cdn', 'cache', 'neighbour', 'cache'] as const;
    const list = kinds.map((kind, index) => ({ name: `${index}`, kind, url: url(`s${index}`) }));
    expect(inOrder(list).map(({ name }) => name)).toEqual(['2', '1', '3', '0']);
  });
});

describe('a release that several sources have', () => {
  let fixture: ReleaseFixture;
  let scene: ReturnType<typeof makeAppliance>;
  let release: BuiltRelease;
  let cache: ReleaseServer;
  let server: ReleaseServer;
  beforeEach(async () => {
    fixture = await makeReleaseFixture();
    scene = makeAppliance();
    setUp(fixture, scene.layout);
    release = await fixture.build({ version: '1.0.52', files: { 'main.js': noise('main', 3_000_000) } });
    fixture.publish([release]);
    [cache, server] = [await startReleaseServer(fixture.servedDir), await startReleaseServer(fixture.servedDir)];
    const releases = [{ name: 'cache', kind: 'cache' as const, url: cache.base }];
    takeSources({ files: realFiles, layout: scene.layout }, { ...noSources, releases }, 'page');
  });
  afterEach(async () => {
    for (const one of [cache, server]) await one[Symbol.asyncDispose]();
    scene[Symbol.dispose]();
    fixture[Symbol.dispose]();
  });
  const bundle = '/bundles/app-1.0.52.hfb';
  const install = async () => {
    const resolved = await fromServer(scene.layout, server.base, release);
    await fetchInto(scene.layout, resolved);
    writeInto(scene.layout, resolved);
    return verifyInstalled(realFiles, scene.layout, 'app', '0', release.manifest).sound;
  };

  it('comes from the cache, and only its metadata from the server', async () => {
    expect(await install()).toBe(true);
    expect(cache.bytesSent('bundles/app-1.0.52.hfb')).toBeGreaterThan(2_900_000);
    expect(server.requests.filter((line) => line.includes('bundles'))).toEqual([]);
  });

  it.each([
    ['is not there', answerStatus(bundle, 404)],
    ['breaks off', truncateAfter(bundle, 400_000)],
    ['changes a byte of a chunk', flipByte(bundle, (bytes) => bytes.length - 800_000)],
    ['ignores ranges', ignoreRange(bundle)],
    ['sends the whole file for a range', sendWhole(bundle)],
  ])('is installed all the same when the cache %s', async (_what, misbehaviour) => {
    cache.misbehave(misbehaviour);
    expect(await install()).toBe(true);
  });

  it('is fetched from where the cache broke off: nothing comes twice', async () => {
    cache.misbehave(truncateAfter(bundle, 1_000_000));
    expect(await install()).toBe(true);
    const all = cache.bytesSent('bundles/app-1.0.52.hfb') + server.bytesSent('bundles/app-1.0.52.hfb');
    expect(all).toBeLessThan(3_000_000 * 1.5);
  });

  it('is found through the cache when the server has gone, by metadata that is as old as the cache', async () => {
    await server[Symbol.asyncDispose]();
    expect(await install()).toBe(true);
    server = await startReleaseServer(fixture.servedDir);
  });

  it('is not found where every source sends other bytes than were signed', async () => {
    for (const one of [cache, server]) one.misbehave(flipByte(bundle, (bytes) => bytes.length - 800_000));
    await expect(install()).rejects.toMatchObject({ code: 'bad-chunk' });
  });
});
