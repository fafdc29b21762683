import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { layoutOf } from '../../../protocol/layout.ts';
import { networkPathShape, type PathEntry } from '../../../protocol/network-path.ts';
import { noSources } from '../../../protocol/sources.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { setUpEntries } from '../../../updater/set-up/set-up-path.ts';
import { pathInUse, readSources, sourcesAnswered, takeSources } from '../../../updater/trust/sources.ts';
import { type Certificate, makeCertificate } from '../../support/certificate.ts';
import { startForwardProxy } from '../../support/proxies/forward-proxy.ts';
import { wrongProxies } from '../../support/proxies/wrong-proxies.ts';
import { TestServer } from '../../support/test-server.ts';
import { startTlsFront } from '../../support/tls-front.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-set-up-path-'));
const none = { https: undefined, http: undefined, none: undefined };
const noCa = { pins: [], pem: [] };
let bench: TestServer;
let foreign: Certificate;
let root: string;
let claim: string;
beforeAll(async () => {
  bench = await TestServer.start(['http://fleet.invalid']);
  await bench.publish('1.0.0');
  foreign = makeCertificate(directory, 'foreign', { names: ['fleet.invalid'] });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});
/** What comes after the enrolment. */
const enrolled = 'truncated';
let count = 0;
beforeEach(async () => {
  count += 1;
  root = mkdtempSync(join(directory, 'root-'));
  mkdirSync(layoutOf(root).updater);
  const settings = { processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } };
  writeFileSync(layoutOf(root).settings, JSON.stringify(settings));
  for (const component of ['app', 'updater']) writeFileSync(join(root, `${component}-0.0.0.hfb`), 'no bundle');
  claim = await bench.claim(`alpha-${count}`);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const place = () => ({ files: realFiles, layout: layoutOf(root) });
const published = () => networkPathShape.parse(JSON.parse(readFileSync(layoutOf(root).networkPath, 'utf8'))).entries;

/** The real program. Its factory is none: enrolment comes before that, and {@link enrolled} says that it worked. */
async function setUp(server: string, words: readonly string[] = [], env: Record<string, string> = {}) {
  const main = resolve('updater/main.ts');
  const args = ['setup', '--root', root, '--factory', root, '--server', server, '--claim', '-', '--json', ...words];
  const clean = { http_proxy: '', HTTP_PROXY: '', https_proxy: '', HTTPS_PROXY: '', no_proxy: '', NO_PROXY: '' };
  const end = await execa(process.execPath, [main, ...args], {
    env: { ...clean, ...env },
    input: claim,
    reject: false,
  });
  const last = end.stderr.trim().split('\n').at(-1) ?? '';
  return { said: end.stderr, ...(last.startsWith('{') ? (JSON.parse(last) as { code: string }) : { code: last }) };
}
const elsewhere = () => bench.url.replace('127.0.0.1', 'fleet.invalid');
const only = { 'fleet.invalid': '127.0.0.1' };

describe('set-up at a site that has a proxy only', () => {
  it('takes it from the environment, with the hosts that are reached without it', async () => {
    await using proxy = await startForwardProxy({ hosts: only });
    const { code } = await setUp(elsewhere(), [], { HTTP_PROXY: proxy.url, NO_PROXY: '.local, 10.0.0.1' });
    expect(code).toBe(enrolled);
    const entry: PathEntry = { proxy: proxy.url, noProxy: ['.local', '10.0.0.1'], ca: noCa };
    expect(pathInUse(place())).toEqual([entry]);
    expect(readSources(place())).toMatchObject({ previous: null, verified: entry, setUp: entry });
    expect(published()).toEqual([entry]);
  });

  it('takes that for https, not that for http, where the server has TLS, and trusts no other authority for it', async () => {
    const own = makeCertificate(directory, 'site', { names: ['fleet.invalid'] });
    await using front = await startTlsFront(own, bench.url);
    await using proxy = await startForwardProxy({ hosts: only });
    await using other = await startForwardProxy({ hosts: only });
    const server = front.url.replace('127.0.0.1', 'fleet.invalid');
    const env = { HTTPS_PROXY: proxy.url, HTTP_PROXY: other.url };
    expect((await setUp(server, [], env)).code).toBe('unreachable');
    expect(readSources(place())).toBeNull();
    expect((await setUp(server, ['--ca', join(directory, 'site.pem')], env)).code).toBe(enrolled);
    const entry: PathEntry = { proxy: proxy.url, ca: { pins: [], pem: [own.cert.trim()] } };
    expect(pathInUse(place())).toEqual([entry]);
    expect(published()).toEqual([entry]);
    expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT ${new URL(server).host}`]));
    expect(other.asked).toEqual([]);
  });

  it.each(['127.0.0.1', '*', '.local 127.0.0.1'])(
    'asks no proxy for a server that NO_PROXY=%s names, and stores both',
    async (named) => {
      await using proxy = await startForwardProxy({ hosts: only });
      const { code } = await setUp(bench.url, [], { HTTP_PROXY: proxy.url, NO_PROXY: named });
      expect(code).toBe(enrolled);
      expect(proxy.asked).toEqual([]);
      // The sources may be elsewhere, where the proxy is needed.
      expect(pathInUse(place())).toEqual([{ proxy: proxy.url, noProxy: named.split(' '), ca: noCa }]);
    },
  );

  it('takes it from --proxy-file first, with a name and a password that nobody is shown', async () => {
    await using proxy = await startForwardProxy({ hosts: only, credentials: 'tech:p@ss w:rd' });
    const address = proxy.url.replace('//', '//tech:p%40ss%20w%3Ard@');
    const file = join(root, 'proxy');
    writeFileSync(file, `${address}\n`, { mode: 0o600 });
    const { code, said } = await setUp(elsewhere(), ['--proxy-file', file], { HTTP_PROXY: 'http://127.0.0.1:9' });
    expect(code).toBe(enrolled);
    expect(pathInUse(place())).toEqual([{ proxy: address, ca: noCa }]);
    expect(said).not.toContain('p%40ss');
  });

  it('says what answers in place of the server, and stores nothing', async () => {
    const [, refuse] = wrongProxies[0] ?? [];
    if (refuse === undefined) throw new RangeError('no proxy');
    await using proxy = await refuse(() => foreign);
    const { code, said } = await setUp(elsewhere(), ['--proxy', proxy.url]);
    expect(code).toBe('unreachable');
    expect(said).toMatch(/through http:\/\/127.*status 407/);
    expect(readSources(place())).toBeNull();
  });
});

describe('set-up', () => {
  it.each(wrongProxies)('goes the direct way where that works and the proxy %s', async (_what, start) => {
    await using wrong = await start(() => foreign);
    expect((await setUp(bench.url, ['--proxy', wrong.url])).code).toBe(enrolled);
    expect(wrong.asked).toHaveLength(1);
    expect(readSources(place())).toBeNull();
  });

  it('trusts the authority of --ca, and stores it', async () => {
    const own = makeCertificate(directory, 'own');
    await using front = await startTlsFront(own, bench.url);
    expect((await setUp(front.url)).code).toBe('unreachable');
    expect((await setUp(front.url, ['--ca', join(directory, 'own.pem')])).code).toBe(enrolled);
    expect(pathInUse(place())).toEqual([{ proxy: null, ca: { pins: [], pem: [own.cert.trim()] } }]);
    // Once more, without it: what was verified before holds.
    expect((await setUp(front.url)).code).toBe(enrolled);
    const other = { ...noSources, proxy: 'http://proxy.site:3128' };
    takeSources(place(), other, 'page');
    sourcesAnswered(place(), { proxy: other.proxy, ca: noCa });
    expect(pathInUse(place()).at(-1)).toEqual({ proxy: null, ca: { pins: [], pem: [own.cert.trim()] } });
  });

  it('leaves no trace of a path where the direct one works', async () => {
    expect((await setUp(bench.url)).code).toBe(enrolled);
    expect([layoutOf(root).sources, layoutOf(root).networkPath].map((path) => realFiles.stat(path))).toEqual([
      null,
      null,
    ]);
  });

  it('works where a reverse proxy serves the server below a path, and strips it', async () => {
    await using proxy = await startForwardProxy({ hosts: only, stripPrefix: '/holdfast' });
    expect((await setUp(`${elsewhere()}/holdfast/`, ['--proxy', proxy.url])).code).toBe(enrolled);
    expect(proxy.asked).toEqual([`POST ${elsewhere()}/holdfast/v1/enrol`]);
  });

  it.each([
    ['an address without a scheme', 'fleet.example', [], 'server-invalid'],
    ['an address of another kind', 'ftp://fleet.example', [], 'server-invalid'],
    ['a proxy of another kind', 'http://127.0.0.1:9', ['--proxy', 'socks5://site:1080'], 'proxy-invalid'],
    ['a file without certificates', 'http://127.0.0.1:9', ['--ca', '/etc/hostname'], 'ca-invalid'],
    ['a file that is not there', 'http://127.0.0.1:9', ['--ca', '/nowhere'], 'ca-invalid'],
  ])('refuses %s before it asks anybody', async (_what, server, words, code) => {
    expect((await setUp(server, words)).code).toBe(code);
  });
});

describe('the entries of set-up', () => {
  const entries = (server: string, environment: Partial<typeof none> | Record<string, string>, proxy?: string) =>
    setUpEntries(place(), { server, proxy, ca: undefined, environment: { ...none, ...environment } });

  it('are the direct one where nothing is named', () => {
    expect(entries('http://a', {})).toEqual([{ proxy: null, ca: noCa }]);
    expect(entries('http://a', { http: '', https: 'http://proxy:1' })).toEqual([{ proxy: null, ca: noCa }]);
  });

  it('take the variable of the scheme, also without a scheme of its own', () => {
    expect(entries('https://a', { https: 'proxy.site:3128', http: 'http://other:1' })).toEqual([
      { proxy: 'http://proxy.site:3128', ca: noCa },
      { proxy: null, ca: noCa },
    ]);
  });
});
