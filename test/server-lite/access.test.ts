import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkInPath } from '../../protocol/check-in.ts';
import { enrolPath } from '../../protocol/claim.ts';
import { listenPolicy } from '../../server-lite/listen-policy.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

/** Like fetch, which does not let a caller choose these headers. */
function raw(url: string, headers: Record<string, string>, method = 'GET'): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { headers, method }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end();
  });
}

describe('the routes', () => {
  it('each say who may use them, and only these are open without a key or a token', async () => {
    await using bench = await TestServer.start();
    const byAccess = (access: string) =>
      bench.running.routes
        .filter((route) => route.access === access && route.method !== 'HEAD')
        .map(({ method, path }) => `${method} ${path}`);
    expect(bench.running.routes.filter(({ access }) => access === undefined)).toEqual([]);
    expect(byAccess('machine').sort()).toEqual([`POST ${checkInPath}`, `POST ${enrolPath}`]);
    expect(byAccess('public').sort()).toEqual(['GET /health', 'GET /releases/:folder/:file']);
    expect(byAccess('page').sort()).toEqual([
      'GET /',
      'GET /dashboard.css',
      'GET /dashboard.js',
      'GET /fragment',
      'POST /login',
      'POST /logout',
    ]);
    expect(byAccess('operator').every((route) => route.includes(' /api/'))).toBe(true);
  });

  it('S52: every operator route refuses no token and a wrong one, before it looks at anything else', async () => {
    await using bench = await TestServer.start();
    const operator = bench.running.routes.filter(({ access }) => access === 'operator');
    expect(operator.length).toBeGreaterThanOrEqual(18);
    for (const { method, path } of operator) {
      const asked = path.replace(/:\w+/g, '1');
      for (const [headers, refusal] of [
        [{}, 'token-needed'],
        [{ authorization: 'Bearer hfo_wrong' }, 'token-wrong'],
        [{ cookie: 'holdfast_session=made-up' }, 'token-needed'],
      ] as const) {
        const response = await fetch(`${bench.url}${asked}`, { method, headers });
        expect([method, asked, response.status]).toEqual([method, asked, 401]);
        if (method !== 'HEAD') expect(code(await response.json())).toBe(refusal);
      }
      // Wrong tokens in a row make their peer wait; a right one ends the row.
      expect((await bench.api('GET', '/api/releases')).status).toBe(200);
    }
  });

  it('S9: the machine API neither sets nor reads a cookie, and asks for no CSRF token', async () => {
    await using bench = await TestServer.start();
    for (const path of [checkInPath, enrolPath]) {
      const response = await fetch(`${bench.url}${path}`, {
        method: 'POST',
        body: '{}',
        headers: { cookie: 'holdfast_session=x' },
      });
      expect([400, 401]).toContain(response.status);
      expect(response.headers.get('set-cookie')).toBeNull();
    }
  });
});

describe('Host and Origin', () => {
  it('refuse a name that is not this server, and a page that is not ours', async () => {
    await using bench = await TestServer.start();
    const host = new URL(bench.url).host;
    const answer = async (headers: Record<string, string>) => {
      const { status, text } = await raw(`${bench.url}/health`, headers);
      return status === 200 ? 200 : code(JSON.parse(text));
    };
    // To a stranger it says that it is there, and nothing of itself or its fleet.
    expect((await raw(`${bench.url}/health`, { host })).text).toBe('{"status":"ok"}');
    expect(await answer({ host })).toBe(200);
    expect(await answer({ host: `localhost:${new URL(bench.url).port}` })).toBe(200);
    expect(await answer({ host: 'evil.example' })).toBe('host-not-served');
    expect(await answer({ host: '127.0.0.1.evil.example' })).toBe('host-not-served');
    expect(await answer({ host, origin: `http://${host}` })).toBe(200);
    expect(await answer({ host, origin: 'https://evil.example' })).toBe('origin-foreign');
    expect(await answer({ host, origin: 'null' })).toBe('origin-foreign');
  });
});

describe('listening', () => {
  const tls = { cert: Buffer.from(''), key: Buffer.from('') };
  it('beyond loopback needs TLS and a name, and then nothing is read without the token', () => {
    const asked = { host: '0.0.0.0', port: 0, tls: null, publicUrls: [] };
    expect(() => listenPolicy(asked)).toThrow(expect.objectContaining({ code: 'not-loopback-without-tls' }));
    expect(() => listenPolicy({ ...asked, tls })).toThrow(
      expect.objectContaining({ code: 'not-loopback-without-tls' }),
    );
    expect(listenPolicy({ ...asked, tls, publicUrls: ['https://holdfast.example'] }).openReading).toBe(false);
  });

  it('is open to this host only where that was said of a server that nobody else reaches', () => {
    const asked = { host: '127.0.0.1', port: 0, tls: null, publicUrls: [] };
    expect(listenPolicy(asked).openReading).toBe(false);
    expect(listenPolicy({ ...asked, openToThisHost: true }).openReading).toBe(true);
    const named = { ...asked, openToThisHost: true, publicUrls: ['http://localhost:8080'] };
    expect(listenPolicy(named).openReading).toBe(true);
    for (const reached of [
      { host: '0.0.0.0', tls, publicUrls: ['https://holdfast.example'] },
      { publicUrls: ['https://holdfast.example'] },
      { publicUrls: ['http://localhost', 'http://holdfast.example'] },
      { trustedProxies: ['127.0.0.1'] },
    ]) {
      expect(() => listenPolicy({ ...asked, openToThisHost: true, ...reached })).toThrow(
        expect.objectContaining({ code: 'open-to-this-host-alone' }),
      );
    }
  });

  it.each(['proxy.example', '10.0.0.0/33', '::1/0', 'loopback', ''])('takes no trusted proxy %j', (proxy) => {
    const asked = { host: '127.0.0.1', port: 0, tls: null, publicUrls: [], trustedProxies: [proxy] };
    expect(() => listenPolicy(asked)).toThrow(expect.objectContaining({ code: 'trusted-proxy-invalid' }));
  });
});
