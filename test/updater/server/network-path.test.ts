import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { directEntry, networkPathShape } from '../../../protocol/network-path.ts';
import { noSources, type Sources } from '../../../protocol/sources.ts';
import { generateKeyPair } from '../../../protocol/trust/ed25519.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { checkIn, type Report, requestTotalMs } from '../../../updater/server/check-in.ts';
import { openCounter } from '../../../updater/server/counter.ts';
import { openEvents } from '../../../updater/server/events.ts';
import { networkPath } from '../../../updater/server/network-path.ts';
import { pathSeen, publishPath } from '../../../updater/server/publish-path.ts';
import {
  pathInUse,
  readSources,
  settleSetUpPath,
  sourcesAnswered,
  takeSignedSources,
  takeSources,
} from '../../../updater/trust/sources.ts';
import { type Certificate, makeCertificate } from '../../support/certificate.ts';
import { startForwardProxy } from '../../support/proxies/forward-proxy.ts';
import type { SiteProxy } from '../../support/proxies/listening.ts';
import { startSilentProxy } from '../../support/proxies/mute-proxy.ts';
import { wrongProxies } from '../../support/proxies/wrong-proxies.ts';
import { soonerThan } from '../../support/sooner.ts';
import { startTlsFront } from '../../support/tls-front.ts';
import { AnsweringServer } from '../support/answering-server.ts';
import { digestOf } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';

const report: Report = {
  have: {},
  health: { status: 'ok', row: 'idle', why: 'it runs', agentAlive: true },
  quarantine: [],
};
const pair = generateKeyPair();
const directory = mkdtempSync(join(tmpdir(), 'holdfast-path-'));
let foreign: Certificate;
let layout: Layout;
let server: AnsweringServer;
let lines: string[];
/** A proxy that answers, is verified, and ends in the middle of a test. */
let worked: SiteProxy;
beforeAll(() => {
  foreign = makeCertificate(directory, 'foreign', { names: ['localhost'] });
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(async () => {
  layout = temporaryAppliance();
  server = await new AnsweringServer(pair.publicKey).start();
  lines = [];
});
const place = () => ({ files: realFiles, layout });
const given = (sources: Partial<Sources>): Sources => ({ ...noSources, ...sources });
const proxies = () => pathInUse(place()).map(({ proxy }) => proxy);

/** One run's check-ins, over the path that the sources name. */
function run(url = server.url, limits = { stallMs: 1_500, connectMs: 1_500 }) {
  const clock = new TestClock();
  server.plan = [server.answer()];
  const appliance = 'hf-00000000000000000001';
  const answerKeys = [server.key.publicKey];
  const log = (line: string) => void lines.push(line);
  const deps = {
    files: realFiles,
    layout,
    clock,
    http: networkPath(place(), limits),
    identity: { appliance, name: 'one', site: 'north', url, answerKeys, rootDigest: digestOf('d') },
    key: pair.privateKey,
    counter: openCounter(realFiles, layout),
    events: openEvents(realFiles, layout, clock, appliance),
    log,
  };
  return () => checkIn(deps, report);
}

describe('an appliance whose new proxy', () => {
  it.each(wrongProxies)('%s is not cut off, and keeps the path before it', async (_what, start) => {
    await using wrong = await start(() => foreign);
    takeSources(place(), given({ proxy: wrong.url }), 'page');
    const ask = run();
    expect((await ask()).outcome).toBe('answered');
    expect((await ask()).outcome).toBe('answered');
    // In one run the wrong one costs its time once.
    expect(wrong.asked).toHaveLength(1);
    expect(proxies()).toEqual([wrong.url, null]);
    expect(readSources(place())?.previous).not.toBeNull();
    expect(lines).toEqual([expect.stringMatching(/^through http:\/\/127\.0\.0\.1:\d+\/: .*the next entry/)]);
  });

  it('is any of these is left for the one before it, where the server is asked by TLS', async () => {
    const own = makeCertificate(directory, 'own');
    await using front = await startTlsFront(own, server.url);
    const { url } = front;
    const ca = { pins: [], pem: [own.cert] };
    await using right = await startForwardProxy();
    takeSources(place(), given({ ca, proxy: right.url }), 'page');
    expect((await run(url)()).outcome).toBe('answered');
    for (const [, start] of wrongProxies) {
      await using wrong = await start(() => foreign);
      takeSources(place(), given({ ca, proxy: wrong.url }), 'page');
      expect((await run(url)()).outcome).toBe('answered');
      expect(wrong.asked).toHaveLength(1);
      expect(proxies()).toEqual([wrong.url, right.url, null]);
    }
  });

  it('is named by signed sources comes back by itself, over the proxy that was verified last', async () => {
    await using right = await startForwardProxy({
      credentials: 'tech:p@ss w:rd',
      hosts: { 'fleet.invalid': '127.0.0.1' },
    });
    const url = server.url.replace('127.0.0.1', 'fleet.invalid');
    const proxy = right.url.replace('//', '//tech:p%40ss%20w%3Ard@');
    takeSources(place(), given({ proxy }), 'page');
    expect((await run(url)()).outcome).toBe('answered');
    expect(proxies()).toEqual([proxy, null]);
    for (const [index, [, start]] of wrongProxies.entries()) {
      await using wrong = await start(() => foreign);
      const signed = given({ seq: index + 1, proxy: wrong.url });
      expect(takeSignedSources(place(), signed, { root: 1, targets: index + 1 }).outcome).toBe('changed');
      expect((await run(url)()).outcome).toBe('answered');
      expect(proxies()).toEqual([wrong.url, proxy, null]);
    }
    expect(lines.join()).not.toContain('p%40ss');
    const ends = given({ seq: 99, proxy: null });
    takeSignedSources(place(), ends, { root: 1, targets: 99 });
    expect((await run(url)()).outcome).toBe('answered');
    expect(proxies()).toEqual([null, proxy]);
  });

  it('works is used from then on, and only the path of set-up stays behind it', async () => {
    await using right = await startForwardProxy();
    takeSources(place(), given({ proxy: right.url }), 'page');
    expect((await run()()).outcome).toBe('answered');
    expect(proxies()).toEqual([right.url, null]);
    expect(readSources(place())).toMatchObject({ previous: null, verified: { proxy: right.url } });
  });

  it.each([
    ['a person', () => takeSources(place(), given({ proxy: worked.url }), 'page')],
    ['a stick', () => takeSources(place(), given({ proxy: worked.url }), 'stick')],
    ['signed sources', () => takeSignedSources(place(), given({ proxy: worked.url }), { root: 1, targets: 1 })],
  ])('from %s worked, was verified and ends comes back over the path of set-up', async (_who, set) => {
    worked = await startForwardProxy();
    expect(set().outcome).toBe('changed');
    expect((await run()()).outcome).toBe('answered');
    expect(worked.asked).toHaveLength(1);
    await worked[Symbol.asyncDispose]();
    expect((await run()()).outcome).toBe('answered');
    expect(readSources(place())?.verified).toEqual(directEntry);
    // And it holds over one wrong path more: what set-up used never leaves the end.
    await using wrong = await startForwardProxy({ credentials: 'nobody:knows' });
    takeSources(place(), given({ proxy: wrong.url }), 'page');
    expect((await run()()).outcome).toBe('answered');
  });

  it('worked and ends comes back over the authority and the proxy of set-up', async () => {
    const own = makeCertificate(directory, 'set-up');
    await using front = await startTlsFront(own, server.url);
    await using first = await startForwardProxy();
    const setUp = { proxy: first.url, ca: { pins: [], pem: [own.cert] } };
    settleSetUpPath(place(), setUp);
    worked = await startForwardProxy();
    // Signed sources know nothing of this site: they name its proxy again, and later another one without the authority.
    takeSignedSources(place(), given({ proxy: worked.url, ca: setUp.ca }), { root: 1, targets: 1 });
    expect((await run(front.url)()).outcome).toBe('answered');
    await worked[Symbol.asyncDispose]();
    takeSignedSources(place(), given({ proxy: worked.url }), { root: 1, targets: 2 });
    expect(pathInUse(place())).toEqual([
      { proxy: worked.url, ca: directEntry.ca },
      { proxy: worked.url, ca: setUp.ca },
      setUp,
    ]);
    expect((await run(front.url)()).outcome).toBe('answered');
    expect(readSources(place())?.verified).toEqual(setUp);
  });

  it('was verified keeps its time, though the path of set-up stands behind it', async () => {
    await using slow = await startForwardProxy({ slowMs: 8_500 });
    takeSources(place(), given({ proxy: slow.url }), 'page');
    sourcesAnswered(place(), { ...directEntry, proxy: slow.url });
    const patient = run(server.url, { stallMs: 20_000, connectMs: 10_000 });
    expect((await patient()).outcome).toBe('answered');
    expect([slow.asked.length, lines]).toEqual([1, []]);
    expect(readSources(place())?.verified?.proxy).toBe(slow.url);
  });

  it('is verified and falls silent costs its time once in a run', async () => {
    worked = await startForwardProxy();
    takeSources(place(), given({ proxy: worked.url }), 'page');
    expect((await run()()).outcome).toBe('answered');
    await worked[Symbol.asyncDispose]();
    await using silent = await startSilentProxy(Number(new URL(worked.url).port));
    const ask = run();
    expect((await ask()).outcome).toBe('answered');
    expect((await ask()).outcome).toBe('answered');
    expect(silent.asked).toHaveLength(1);
  });

  it('and whose old one say nothing is not held up for longer than one request takes', async () => {
    await using one = await startSilentProxy();
    await using other = await startSilentProxy();
    takeSources(place(), given({ proxy: one.url }), 'page');
    sourcesAnswered(place(), { proxy: one.url, ca: directEntry.ca });
    takeSources(place(), given({ proxy: other.url }), 'page');
    expect(proxies()).toEqual([other.url, one.url, null]);
    const outcome = await soonerThan(requestTotalMs, run(server.url.replace('127.0.0.1', '192.0.2.1')));
    expect(outcome).toMatchObject({ outcome: 'unreachable' });
  });
});

describe('the path for the agent', () => {
  const published = () => networkPathShape.parse(JSON.parse(readFileSync(layout.networkPath, 'utf8'))).entries;
  const reader = (agentUser: { uid: number; gid: number } | null = null) => ({
    ...place(),
    settings: { agentUser },
    log: (line: string) => void lines.push(line),
  });
  const publish = (agentUser: { uid: number; gid: number } | null = null) => publishPath(reader(agentUser));

  it('is a file only where more than the direct one was set, and follows what is set', () => {
    publish();
    expect(realFiles.stat(layout.networkPath)).toBeNull();
    const proxy = 'http://tech:secret@proxy.site:3128';
    takeSources(place(), given({ proxy }), 'page');
    publish();
    expect(published().map((entry) => entry.proxy)).toEqual([proxy, null]);
    takeSources(place(), given({ rateBytesPerS: 9_000 }), 'page');
    publish();
    expect(published()).toEqual([{ proxy: null, ca: { pins: [], pem: [] } }]);
  });

  it('ends with the entry of set-up for the agent, too, and does not make a version comparable that knows no path', () => {
    const proxy = 'http://proxy.site:3128';
    takeSources(place(), given({ proxy }), 'page');
    sourcesAnswered(place(), { ...directEntry, proxy });
    expect(pathSeen(reader(), server.url)).toBe('unpublished');
    publish();
    expect(published().map((entry) => entry.proxy)).toEqual([proxy, null]);
    expect(pathSeen(reader(), server.url)).toBe('published');
    sourcesAnswered(place(), directEntry);
    expect(pathSeen(reader(), server.url)).toBe('plain');
    // Nor the other way round: the one that was set last may lead nowhere.
    sourcesAnswered(place(), { ...directEntry, proxy });
    takeSources(place(), noSources, 'page');
    expect(pathSeen(reader(), server.url)).toBe('unpublished');
  });

  it('is read by the group of the agent, and by nobody else', () => {
    if (process.getuid?.() !== 0) throw new Error('this test needs root');
    takeSources(place(), given({ proxy: 'http://tech:secret@proxy.site:3128' }), 'page');
    publish({ uid: 2001, gid: 2002 });
    const facts = statSync(layout.networkPath);
    expect([facts.uid, facts.gid, facts.mode & 0o777]).toEqual([0, 2002, 0o640]);
  });

  it('is not published on a disk that refuses, and that stops nobody', () => {
    takeSources(place(), given({ proxy: 'http://proxy.site:3128' }), 'page');
    const refusing = {
      ...realFiles,
      create: () => {
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      },
    };
    publishPath({ files: refusing, layout, settings: { agentUser: null }, log: (line) => void lines.push(line) });
    expect(lines).toEqual([expect.stringContaining('could not be written down')]);
  });
});
