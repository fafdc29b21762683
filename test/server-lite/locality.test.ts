import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { describe, expect, it } from 'vitest';
import { LoginWaits } from '../../server-lite/operator/login-waits.ts';
import { peerOf, proxyTest } from '../../server-lite/peer.ts';
import { makeCertificate } from '../support/certificate.ts';
import { TestServer } from '../support/test-server.ts';
import { startTlsFront } from '../support/tls-front.ts';

interface Seen {
  readonly status: number;
  readonly text: string;
  readonly cookie: string;
}

interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly body?: string;
  /** The address to come from. */
  readonly from?: string;
}

function ask(url: string, { headers = {}, method = 'GET', body, from = '127.0.0.1' }: Ask = {}): Promise<Seen> {
  const start = url.startsWith('https:') ? httpsRequest : httpRequest;
  const options = { headers, method, agent: false, rejectUnauthorized: false, localAddress: from } as const;
  return new Promise((resolve, reject) => {
    const sent = start(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        const cookie = response.headers['set-cookie']?.[0] ?? '';
        resolve({ status: response.statusCode ?? 0, text, cookie });
      });
    });
    sent.on('error', reject).end(body);
  });
}

const logIn = (url: string, token: string, more: Ask = {}) => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...more.headers };
  return ask(`${url}/login`, { ...more, method: 'POST', headers, body: new URLSearchParams({ token }).toString() });
};

describe('behind a TLS proxy on the same host', () => {
  it('the fleet is shown to nobody without the token, and the cookie is for HTTPS only', async () => {
    await using bench = await TestServer.start(['https://fleet.example']);
    await bench.publish('1.0.52');
    await bench.appliance('alpha');
    await using front = await startTlsFront(makeCertificate(bench.directory, 'fleet.example'), bench.url);
    // A proxy hands the name on that it was asked by, or asks by the address that it was given.
    for (const host of ['fleet.example', new URL(bench.url).host]) {
      const page = await ask(`${front.url}/`, { headers: { host } });
      expect([page.status, page.text.includes('Give the operator token')]).toEqual([200, true]);
      expect(page.text).not.toContain('alpha');
      expect((await ask(`${front.url}/fragment`, { headers: { host } })).status).toBe(401);
      expect((await logIn(front.url, bench.token, { headers: { host } })).cookie).toMatch(/SameSite=Strict; Secure$/);
    }
  });

  it('a name that is plain HTTP gets a cookie that works there', async () => {
    await using bench = await TestServer.start(['https://new.example', 'http://old.example']);
    const cookieAt = async (host: string) => (await logIn(bench.url, bench.token, { headers: { host } })).cookie;
    expect(await cookieAt('old.example')).not.toContain('Secure');
    expect(await cookieAt('new.example')).toContain('; Secure');
  });

  it.each([
    ...['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'x-forwarded'],
    ...['x-forwarded-server', 'x-forwarded-port', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip'],
  ])('what was handed on with %s is not of this host, even where this host may look', async (name) => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    expect((await ask(`${bench.url}/fragment`)).status).toBe(200);
    expect((await ask(`${bench.url}/fragment`, { headers: { [name]: '192.0.2.1' } })).status).toBe(401);
    expect((await ask(`${bench.url}/`, { headers: { [name]: '' } })).text).toContain('Give the operator token');
  });
});

describe('on this host', () => {
  it('nothing is shown without the token unless somebody asked for that', async () => {
    await using bench = await TestServer.start([], { openToThisHost: false });
    expect((await ask(`${bench.url}/fragment`)).status).toBe(401);
    expect((await ask(`${bench.url}/`)).text).toContain('Give the operator token');
    const { cookie } = await logIn(bench.url, bench.token);
    expect(cookie).not.toContain('Secure');
    expect((await ask(`${bench.url}/fragment`, { headers: { cookie: cookie.split(';')[0] ?? '' } })).status).toBe(200);
  });
});

describe('wrong tokens', () => {
  it('of one peer make only that peer wait, by its own address or by the one that a trusted proxy tells', async () => {
    await using bench = await TestServer.start(['https://fleet.example'], { trustedProxies: ['127.0.0.9'] });
    const client = (address: string): Ask => ({ from: '127.0.0.9', headers: { 'x-forwarded-for': address } });
    const exhaust = async (more: Ask) => {
      for (let i = 0; i < 5; i += 1) expect((await logIn(bench.url, 'hfo_wrong', more)).status).toBe(401);
      expect((await logIn(bench.url, 'hfo_wrong', more)).status).toBe(429);
      expect((await logIn(bench.url, bench.token, more)).status).toBe(303);
      for (let i = 0; i < 6; i += 1) await logIn(bench.url, 'hfo_wrong', more);
    };
    await exhaust({ from: '127.0.0.2' });
    await exhaust(client('192.0.2.7'));
    for (const other of [{ from: '127.0.0.3' }, client('192.0.2.8'), client('198.51.100.1, 192.0.2.9')]) {
      expect((await logIn(bench.url, 'hfo_wrong', other)).status).toBe(401);
    }
    // Who is no trusted proxy speaks for itself alone.
    const liar = { from: '127.0.0.2', headers: { 'x-forwarded-for': '192.0.2.8' } };
    expect((await logIn(bench.url, 'hfo_wrong', liar)).status).toBe(429);
  });

  it('are counted as Bearer tokens of the API too, together with those at /login; the right one is always looked at', async () => {
    await using bench = await TestServer.start(['https://fleet.example'], { trustedProxies: ['127.0.0.9'] });
    const bearer = (token: string, more: Ask = {}, path = '/api/appliances') =>
      ask(`${bench.url}${path}`, { ...more, headers: { ...more.headers, authorization: `Bearer ${token}` } });
    const here: Ask = { from: '127.0.0.2' };
    for (let i = 0; i < 3; i += 1) expect((await bearer('hfo_wrong', here)).status).toBe(401);
    for (let i = 0; i < 2; i += 1) expect((await logIn(bench.url, 'hfo_wrong', here)).status).toBe(401);
    const refused = await bearer('hfo_wrong', { ...here, method: 'POST' }, '/api/claims');
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([429, 'login-delayed']);
    expect((await logIn(bench.url, 'hfo_wrong', here)).status).toBe(429);
    const client = (address: string): Ask => ({ from: '127.0.0.9', headers: { 'x-forwarded-for': address } });
    for (let i = 0; i < 5; i += 1) expect((await bearer('hfo_wrong', client('192.0.2.7'))).status).toBe(401);
    expect((await bearer('hfo_wrong', client('192.0.2.7'))).status).toBe(429);
    for (const other of [{ from: '127.0.0.3' }, client('192.0.2.8')]) {
      expect((await bearer('hfo_wrong', other)).status).toBe(401);
    }
    expect((await bearer(bench.token, here)).status).toBe(200);
    expect((await bearer('hfo_wrong', here)).status).toBe(401);
  });

  it('are remembered of so many peers and no more, the latest ones', () => {
    const waits = new LoginWaits();
    for (let i = 0; i < 5; i += 1) waits.failed('first', 0);
    expect(waits.leftMs('first', 500)).toBe(1_500);
    for (let i = 0; i < 3_000; i += 1) waits.failed(`peer-${i}`, 0);
    expect([waits.size, waits.leftMs('first', 500)]).toEqual([1_000, 0]);
  });
});

describe('a peer', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:1::5', '2001:db8:0:1::/64'],
    ['2001:0DB8:0000:0001:ffff::', '2001:db8:0:1::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', 'unknown'],
    ['unknown', 'unknown'],
    ['10.0.0.1\u001b[2J', 'unknown'],
  ])('%j is %s', (address, peer) => {
    expect(peerOf(address)).toBe(peer);
  });

  it('is a trusted proxy by address or block, in either form', () => {
    const isProxy = proxyTest(['10.1.0.0/16', '2001:db8::/32', '192.0.2.1']);
    const asked = ['10.1.255.1', '::ffff:10.1.0.1', '10.2.0.1', '2001:db8::7', '192.0.2.1', '192.0.2.2', 'junk', ''];
    expect(asked.map(isProxy)).toEqual([true, true, false, true, true, false, false, false]);
    expect(proxyTest([])('127.0.0.1')).toBe(false);
  });
});
