import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { directEntry, networkPathDigest, type PathEntry } from '../../protocol/network-path.ts';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { startForwardProxy } from '../support/proxies/forward-proxy.ts';
import { wrongProxies } from '../support/proxies/wrong-proxies.ts';
import { startTlsFront } from '../support/tls-front.ts';
import { TestAppliance, until } from './agent-process.ts';

const directory = mkdtempSync(join(tmpdir(), 'hfa-path-'));
const noCa = { pins: [], pem: [] };
let foreign: Certificate;
let appliance: TestAppliance;
beforeAll(() => {
  foreign = makeCertificate(directory, 'foreign', { names: ['fleet.invalid'] });
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(async () => {
  appliance = new TestAppliance();
  await appliance.startServer();
});
afterEach(async () => {
  const { problems } = appliance.server;
  await appliance.end();
  expect(problems).toEqual([]);
});

function publish(entries: readonly PathEntry[]): void {
  writeFileSync(appliance.layout.networkPath, JSON.stringify({ v: 1, entries }));
}
const serverWord = (word: string) => until(`server ${word}`, async () => (await appliance.health())?.server === word);

describe('an agent', () => {
  it('checks in through the proxy that alone knows the name of its server, with name and password', async () => {
    await using proxy = await startForwardProxy({
      credentials: 'tech:p@ss w:rd',
      hosts: { 'fleet.invalid': '127.0.0.1' },
    });
    appliance.writeCredentials(appliance.server.url.replace('127.0.0.1', 'fleet.invalid'));
    const entry = { proxy: proxy.url.replace('//', '//tech:p%40ss%20w%3Ard@'), ca: noCa };
    publish([entry]);
    const run = appliance.run();
    await serverWord('ok');
    expect((await appliance.healthy()).networkPath).toBe(networkPathDigest([entry]));
    expect(run.stdout + run.stderr).not.toMatch(/p%40ss|p@ss/);
  });

  it.each(wrongProxies)('tries the next entry when the first %s', async (_what, start) => {
    await using wrong = await start(() => foreign);
    const entries = [{ proxy: wrong.url, ca: noCa }, directEntry];
    publish(entries);
    appliance.run();
    await serverWord('ok');
    const asked = wrong.asked.length;
    expect(asked).toBe(1);
    const known = appliance.server.requests.length;
    await until('more check-ins', () => appliance.server.requests.length >= known + 3);
    // What was verified goes first until the updater publishes another path.
    expect(wrong.asked).toHaveLength(asked);
    expect((await appliance.healthy()).networkPath).toBe(networkPathDigest(entries));
  });

  it('comes back over the last entry when the proxy that worked ends', async () => {
    const proxy = await startForwardProxy();
    publish([{ proxy: proxy.url, ca: noCa }, directEntry]);
    appliance.run();
    await until('check-ins through the proxy', () => proxy.asked.length >= 2);
    await serverWord('ok');
    await proxy[Symbol.asyncDispose]();
    const known = appliance.server.requests.length;
    await until('more check-ins', () => appliance.server.requests.length >= known + 3);
    expect((await appliance.healthy()).server).toBe('ok');
  });

  it('follows the path that is published while it runs, without a restart', async () => {
    await using proxy = await startForwardProxy();
    appliance.run();
    await serverWord('ok');
    expect((await appliance.healthy()).networkPath).toBe(networkPathDigest([directEntry]));
    publish([{ proxy: proxy.url, ca: noCa }, directEntry]);
    await until('a check-in through the proxy', () => proxy.asked.length > 0);
  });

  it('takes a file that is damaged for the direct path', async () => {
    writeFileSync(appliance.layout.networkPath, '{"v":1,"entries":[{"pro');
    appliance.run();
    await serverWord('ok');
    expect((await appliance.healthy()).networkPath).toBe(networkPathDigest([directEntry]));
  });

  it('trusts the authority and the keys that the path names, and no others', async () => {
    const [own, other] = [makeCertificate(directory, 'own'), makeCertificate(directory, 'other')];
    await using front = await startTlsFront(own, appliance.server.url);
    appliance.writeCredentials(front.url);
    publish([{ proxy: null, ca: { pins: [other.pin], pem: [own.cert] } }]);
    appliance.run();
    await serverWord('fail');
    expect(appliance.server.requests).toEqual([]);
    publish([{ proxy: null, ca: { pins: [own.pin], pem: [own.cert] } }]);
    await serverWord('ok');
  });

  it('signs the path of the protocol, wherever the site has put the server', async () => {
    await using proxy = await startForwardProxy({ hosts: {}, stripPrefix: '/holdfast' });
    appliance.writeCredentials(`${appliance.server.url}/holdfast/`);
    publish([{ proxy: proxy.url, ca: noCa }]);
    appliance.run();
    await serverWord('ok');
  });
});
