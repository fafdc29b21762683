import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { directEntry } from '../../../protocol/network-path.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import type { RatedEntry } from '../../../updater/effects/http-request.ts';
import { noise } from '../../support/bundle-fixture.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { startForwardProxy } from '../../support/proxies/forward-proxy.ts';

describe('one entry of the network path', () => {
  const servers: { close(done: () => void): unknown; closeAllConnections?: () => void }[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-entry-'));
  afterAll(() => rmSync(directory, { recursive: true }));
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

  const certificate = (name: string, days = 2) => makeCertificate(directory, name, { days });
  const tlsServer = (one: { key: string; cert: string }) =>
    listen(createTlsServer(one, (_request, response) => response.end('by TLS')));
  const over = (entry: Partial<RatedEntry>) => makeHttp({}, { ...directEntry, rateBytesPerS: null, ...entry });

  it('leads through a proxy, for plain requests and for TLS', async () => {
    const plain = await listen(createServer((_request, response) => response.end('by the proxy')));
    await using proxy = await startForwardProxy({ hosts: { 'appliance.example': `127.0.0.1:${plain}` } });
    const server = certificate('server');
    const tls = await tlsServer(server);
    const http = over({ proxy: proxy.url, ca: { pins: [], pem: [server.cert] } });
    expect((await http.fetch({ url: 'http://appliance.example/x', totalMs: 5_000 }, 100)).body.toString()).toBe(
      'by the proxy',
    );
    expect((await http.fetch(request(tls, 'https'), 100)).body.toString()).toBe('by TLS');
    expect(proxy.asked).toEqual(['GET http://appliance.example/x', `CONNECT 127.0.0.1:${tls}`]);
  });

  it('trusts a private authority only where it is named, and a pinned key only where it is in the chain', async () => {
    const [server, other] = [certificate('private'), certificate('other')];
    const tls = await tlsServer(server);
    const attempt = (ca: RatedEntry['ca']) => over({ ca }).fetch(request(tls, 'https'), 100);
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
});
