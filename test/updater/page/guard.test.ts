import { describe, expect, it } from 'vitest';
import { readArguments } from '../../../updater/page/arguments.ts';
import { PasswordWaits } from '../../../updater/page/password-waits.ts';
import { testCertificate, testKey } from './certificate.ts';
import { PageBox, soundStatus } from './page-box.ts';

const password = 'a long enough one';

async function started(): Promise<PageBox> {
  const box = new PageBox();
  await box.start();
  return box;
}

describe('the name under which the page is asked for', () => {
  it.each(['127.0.0.1', 'localhost', '[::1]', 'LOCALHOST'])('may be %s with the port', async (name) => {
    const box = await started();
    expect((await box.ask({ headers: { host: `${name}:${box.port}` } })).status).toBe(200);
  });

  it.each(['evil.example', 'evil.example:80', '127.0.0.1', '127.0.0.1:1', '127.0.0.1.evil.example', 'localhost.'])(
    'may not be %j, so that no foreign name can be pointed here',
    async (host) => {
      const box = await started();
      for (const path of ['/', '/status.json']) expect((await box.ask({ path, headers: { host } })).status).toBe(400);
      expect((await box.post('/check', { pin: box.pin }, { host })).status).toBe(400);
      expect(box.requests()).toEqual([]);
    },
  );
});

describe('the site that a form comes from', () => {
  it.each<[string, (port: number) => Record<string, string>, number]>([
    [
      'the page itself',
      (port) => ({ host: `localhost:${port}`, origin: `http://localhost:${port}`, 'sec-fetch-site': 'same-origin' }),
      303,
    ],
    ['a program', () => ({}), 303],
    ['another site', () => ({ origin: 'https://evil.example' }), 403],
    ['another port', () => ({ origin: 'http://127.0.0.1:1' }), 403],
    ['another name of this machine', (port) => ({ origin: `http://localhost:${port}` }), 403],
    ['a page without origin', () => ({ origin: 'null' }), 403],
    ['another site, by the browser', () => ({ 'sec-fetch-site': 'cross-site' }), 403],
    ['the same site, by the browser', () => ({ 'sec-fetch-site': 'same-site' }), 403],
  ])('%s', async (_, headersOf, status) => {
    const box = await started();
    expect((await box.post('/check', { pin: box.pin }, headersOf(box.port))).status).toBe(status);
    expect(box.requests()).toHaveLength(status === 303 ? 1 : 0);
    expect(box.failures() === null).toBe(status === 403);
  });
});

describe('a page that can be reached from elsewhere', () => {
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

  async function exposed(): Promise<PageBox> {
    const box = new PageBox();
    const tls = { key: Buffer.from(testKey), cert: Buffer.from(testCertificate) };
    await box.start({ tls, password, names: ['page.test'] });
    box.writeStatus(soundStatus(box.clock));
    return box;
  }

  it('speaks TLS and shows itself to whoever has the password', async () => {
    const box = await exposed();
    const answer = await box.ask({ headers: { host: `page.test:${box.port}`, ...basic(`anyone:${password}`) } });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('1.0.52 runs and is healthy.');
  });

  it.each<[string, Record<string, string>]>([
    ['none', {}],
    ['a wrong one', basic('anyone:something else')],
    ['an empty one', basic('anyone:')],
    ['an odd one', { authorization: 'Basic %%%' }],
    ['a token', { authorization: `Bearer ${password}` }],
  ])('tells nothing to whoever has %s', async (_, headers) => {
    const box = await exposed();
    for (const path of ['/', '/status.json']) {
      const answer = await box.ask({ path, headers });
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toContain('Basic');
      expect(answer.text).not.toContain('1.0.52');
    }
  });
});

describe('wrong passwords', () => {
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(`anyone:${text}`).toString('base64')}` });

  it('make their peer wait, and a request by a foreign name does not end that', async () => {
    const box = new PageBox();
    await box.start({ tls: { key: Buffer.from(testKey), cert: Buffer.from(testCertificate) }, password });
    for (let i = 0; i < 5; i += 1) {
      expect((await box.ask({ headers: basic('something else') })).status).toBe(401);
      expect((await box.ask({ headers: { host: 'evil.example', ...basic(password) } })).status).toBe(
        i === 4 ? 429 : 400,
      );
    }
    expect((await box.ask({ headers: basic(password) })).status).toBe(429);
    expect((await box.ask()).status).toBe(401);
    box.clock.monoMs += 2_000;
    expect((await box.ask({ headers: basic(password) })).status).toBe(200);
    expect((await box.ask({ headers: basic('something else') })).status).toBe(401);
  });

  it('are counted for each peer by itself, and of so many peers', () => {
    const waits = new PasswordWaits();
    for (let i = 0; i < 5; i += 1) waits.wrong('ip:192.0.2.1', 0);
    expect([waits.leftS('ip:192.0.2.1', 500), waits.leftS('ip:192.0.2.2', 500)]).toEqual([2, 0]);
    for (let i = 0; i < 300; i += 1) waits.wrong(`ip:10.0.${Math.floor(i / 100)}.${i % 100}`, 0);
    expect(waits.leftS('ip:192.0.2.1', 500)).toBe(0);
  });
});

describe('the command line', () => {
  it('listens on loopback where it says nothing else', () => {
    expect(readArguments([])).toMatchObject({ kind: 'serve', host: '127.0.0.1', exposed: null });
  });

  it.each(['0.0.0.0', '::', '192.0.2.1', 'till-3.example', '127.0.0.1.example'])(
    'does not listen on %s without TLS and a password',
    (host) => {
      const refusal = expect.objectContaining({ code: 'not-loopback' });
      expect(() => readArguments(['--host', host])).toThrow(refusal);
      expect(() => readArguments(['--host', host, '--tls-key', 'k', '--tls-cert', 'c'])).toThrow(refusal);
      expect(() => readArguments(['--host', host, '--password-file', 'p'])).toThrow(refusal);
    },
  );

  it('listens elsewhere with TLS and a password', () => {
    const args = [
      '--host',
      '192.0.2.1',
      '--tls-key',
      'k',
      '--tls-cert',
      'c',
      '--password-file',
      'p',
      '--name',
      'till-3',
    ];
    expect(readArguments(args)).toMatchObject({ names: ['192.0.2.1', 'till-3'], exposed: { passwordFile: 'p' } });
  });

  it.each([['--port', '70000'], ['--port', 'x'], ['--unknown'], ['stray']])('refuses %s %s', (...args) => {
    expect(() => readArguments(args.filter((word) => word !== undefined))).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
});
