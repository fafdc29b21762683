import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { noSources, type Sources } from '../../../protocol/sources.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { inOrder, readSources, sourcesAnswered, sourcesInUse, takeSources } from '../../../updater/release/sources.ts';
import { verifyInstalled } from '../../../updater/release/verify-slot.ts';
import { wayOut } from '../../../updater/release/way-out.ts';
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
import { fetchInto, fromServer, setUp, writeInto } from './install.ts';

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
    rmSync(scene.layout.sources);
    mkdirSync(scene.layout.sources);
    expect(sourcesInUse(place())).toEqual([noSources]);
  });

  it('that are signed are taken only under a higher number', () => {
    expect(takeSources(place(), { ...some, seq: 0 }, 'targets').outcome).toBe('unchanged');
    expect(takeSources(place(), some, 'targets').outcome).toBe('changed');
    expect(takeSources(place(), { ...some, proxy: 'http://proxy:1' }, 'targets').outcome).toBe('unchanged');
    expect(takeSources(place(), { ...some, seq: 2, proxy: 'http://proxy:1' }, 'targets').outcome).toBe('changed');
  });

  it('that a person sets stay until a higher number is signed', () => {
    takeSources(place(), { ...some, seq: 5 }, 'targets');
    expect(takeSources(place(), { ...noSources, proxy: 'http://proxy:1' }, 'page').outcome).toBe('changed');
    expect(readSources(place())?.current).toMatchObject({ seq: 6, origin: 'page', proxy: 'http://proxy:1' });
    expect(takeSources(place(), { ...some, seq: 6 }, 'targets').outcome).toBe('unchanged');
    expect(takeSources(place(), { ...some, seq: 7 }, 'targets').outcome).toBe('changed');
  });

  it('before the new ones are kept until those have answered, over any number of changes', () => {
    takeSources(place(), some, 'targets');
    sourcesAnswered(place(), { ...some, seq: 1 });
    takeSources(place(), { ...some, proxy: 'http://wrong:1' }, 'page');
    takeSources(place(), { ...some, proxy: 'http://wrong:2' }, 'page');
    expect(sourcesInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://wrong:2', null]);
    sourcesAnswered(place(), { ...some, seq: 1 });
    expect(sourcesInUse(place())).toHaveLength(2);
    sourcesAnswered(place(), { ...some, seq: 3 });
    expect(sourcesInUse(place()).map(({ proxy }) => proxy)).toEqual(['http://wrong:2']);
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

describe('the way out', () => {
  const servers: { close(done: () => void): unknown; closeAllConnections?: () => void }[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-way-out-'));
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections?.();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });
  const listen = async (server: Server | ReturnType<typeof createTlsServer>): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const request = (port: number, scheme = 'http') => ({ url: `${scheme}://127.0.0.1:${port}/x`, totalMs: 10_000 });

  /** A key and a certificate of it, for the address of loopback. */
  function certificate(name: string, days = 2): { key: string; cert: string; pin: string } {
    const [key, cert, wish, more] = ['key', 'pem', 'csr', 'ext'].map((suffix) => join(directory, `${name}.${suffix}`));
    if (key === undefined || cert === undefined || wish === undefined || more === undefined)
      throw new RangeError('names');
    writeFileSync(more, 'subjectAltName=IP:127.0.0.1\n');
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', ...kind, '-subj', `/CN=${name}`, '-keyout', key, '-out', wish);
    openssl('x509', '-req', '-in', wish, '-signkey', key, '-days', String(days), '-extfile', more, '-out', cert);
    const { publicKey } = new X509Certificate(readFileSync(cert));
    const pin = sha256(publicKey.export({ type: 'spki', format: 'der' }));
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8'), pin };
  }
  const tlsServer = (one: { key: string; cert: string }) =>
    listen(createTlsServer(one, (_request, response) => response.end('by TLS')));
  const over = (way: Partial<Sources>) => makeHttp({}, () => ({ ...noSources, ...way }));

  it('leads through a proxy, for plain requests and for TLS', async () => {
    const asked: string[] = [];
    const tunnels: Socket[] = [];
    const proxy = createServer((incoming, response) => {
      asked.push(`${incoming.method} ${incoming.url}`);
      response.end('by the proxy');
    });
    proxy.on('connect', (incoming, socket: Socket) => {
      asked.push(`CONNECT ${incoming.url}`);
      const [host, port] = (incoming.url ?? '').split(':');
      const behind = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        behind.pipe(socket).pipe(behind);
      });
      tunnels.push(socket, behind);
      for (const one of [behind, socket]) one.on('error', () => one.destroy());
    });
    const port = await listen(proxy);
    const server = certificate('server');
    const tls = await tlsServer(server);
    const http = over({ proxy: `http://127.0.0.1:${port}`, ca: { pins: [], pem: [server.cert] } });
    expect((await http.fetch({ url: 'http://appliance.example/x', totalMs: 5_000 }, 100)).body.toString()).toBe(
      'by the proxy',
    );
    expect((await http.fetch(request(tls, 'https'), 100)).body.toString()).toBe('by TLS');
    for (const tunnel of tunnels) tunnel.destroy();
    expect(asked).toEqual(['GET http://appliance.example/x', `CONNECT 127.0.0.1:${tls}`]);
  });

  it('trusts a private authority only where it is named, and a pinned key only where it is in the chain', async () => {
    const [server, other] = [certificate('private'), certificate('other')];
    const tls = await tlsServer(server);
    const attempt = (ca: Sources['ca']) => over({ ca }).fetch(request(tls, 'https'), 100);
    await expect(attempt({ pins: [], pem: [] })).rejects.toMatchObject({ code: 'unreachable' });
    expect((await attempt({ pins: [], pem: [server.cert] })).status).toBe(200);
    expect((await attempt({ pins: [server.pin], pem: [server.cert] })).status).toBe(200);
    await expect(attempt({ pins: [other.pin], pem: [server.cert] })).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('does not take a certificate that has expired', async () => {
    const server = certificate('expired', -1);
    const tls = await tlsServer(server);
    const attempt = over({ ca: { pins: [], pem: [server.cert] } }).fetch(request(tls, 'https'), 100);
    await expect(attempt).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('expired') });
  });

  it('is no faster than it is told to be', async () => {
    const body = noise('body', 300_000);
    const port = await listen(createServer((_request, response) => response.end(body)));
    const startedMs = performance.now();
    await over({ rateBytesPerS: 300_000 }).fetch(request(port), 400_000);
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(900);
  });

  it('that is new and wrong cuts nobody off: the one before is tried until the new one has answered', async () => {
    using scene = makeAppliance();
    const place = { files: realFiles, layout: scene.layout };
    const port = await listen(createServer((_request, response) => response.end('here')));
    // Nothing listens on the port of discard.
    takeSources(place, { ...noSources, proxy: 'http://127.0.0.1:9' }, 'page');
    const http = wayOut(place, { connectMs: 1_000 });
    expect((await http.fetch(request(port), 100)).body.toString()).toBe('here');
    http.verified?.();
    expect(sourcesInUse(place)).toHaveLength(2);
    takeSources(place, { ...noSources, rateBytesPerS: 5_000 }, 'page');
    await http.fetch(request(port), 100);
    http.verified?.();
    expect(sourcesInUse(place).map(({ rateBytesPerS }) => rateBytesPerS)).toEqual([5_000]);
  });
});
