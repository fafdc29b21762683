import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { addressBelow } from '../../protocol/address.ts';
import { checkInAnswerShape, checkInPath } from '../../protocol/check-in.ts';
import { decodeClaim } from '../../protocol/claim.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { signRequest, verifyAnswer } from '../../protocol/trust/http-signature.ts';
import { belowBase, listenPolicy } from '../../server-lite/listen-policy.ts';
import { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}
interface Answered {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

/** Like fetch, which does not let a caller choose Host. */
function raw(url: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { headers, method }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    sent.on('error', reject).end(body);
  });
}

const listening = { host: '127.0.0.1', port: 0, tls: null };

describe('a server with several public names', () => {
  const names = ['https://New.example./', 'http://old.example:4342'];

  it('goes by each of them, in whatever form, and by no other', async () => {
    await using bench = await TestServer.start(names);
    const status = async (host: string) => (await raw(`${bench.url}/health`, { headers: { host } })).status;
    for (const host of [
      'new.example',
      'NEW.example',
      'new.example.',
      'new.example:443',
      'old.example:4342',
      'localhost',
    ]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (const host of ['example', 'evil.example', 'new.example.evil']) {
      expect([host, await status(host)]).toEqual([host, 421]);
    }
  });

  it('takes its own pages for its own, whether the port of the scheme is named or not', async () => {
    await using bench = await TestServer.start(names);
    const status = async (host: string, origin: string) =>
      (await raw(`${bench.url}/health`, { headers: { host, origin } })).status;
    expect(await status('new.example', 'https://new.example')).toBe(200);
    expect(await status('new.example:443', 'https://new.example')).toBe(200);
    expect(await status('new.example.', 'https://new.example')).toBe(200);
    expect(await status('new.example', 'https://new.example:8443')).toBe(403);
    expect(await status('new.example', 'https://old.example')).toBe(403);
  });

  it('puts the first one into claim codes', async () => {
    await using bench = await TestServer.start(names);
    await bench.publish('1.0.0');
    expect(decodeClaim(await bench.claim('alpha')).url).toBe(names[0]);
  });

  it.each(['fleet.example.com', 'ftp://a', 'http://tech:secret@a', 'http://a/?b'])(
    'does not start with the address %s',
    (url) => {
      expect(() => listenPolicy({ ...listening, publicUrls: ['https://good.example', url] })).toThrow(
        expect.objectContaining({ code: 'public-url-invalid' }),
      );
    },
  );
});

describe('a server below a path', () => {
  const base = 'http://fleet.invalid/holdfast';

  it('knows the path of the protocol with its base and without', () => {
    const found = ['/holdfast/v1/checkin', '/holdfast', '/holdfast?a', '/holdfasten', '/v1/checkin'].map((path) =>
      belowBase(path, ['/holdfast']),
    );
    expect(found).toEqual(['/v1/checkin', '/', '/?a', '/holdfasten', '/v1/checkin']);
  });

  it.each([
    ['passes it on', '/holdfast'],
    ['strips it', ''],
  ])('takes enrolment and check-ins by a reverse proxy that %s, of agents of every version', async (_what, passed) => {
    await using bench = await TestServer.start([base]);
    await bench.publish('1.0.0');
    const client = await bench.appliance('alpha');
    // Before, an agent signed the whole path of the address that it was given.
    for (const path of [checkInPath, `/holdfast${checkInPath}`]) {
      const body = Buffer.from(JSON.stringify(client.request('agent')));
      const request = { method: 'POST', path, body };
      const signed = signRequest(request, client.keys.agent.privateKey);
      const headers = { 'content-type': 'application/json', ...signed };
      const answer = await raw(addressBelow(`${bench.url}${passed}`, checkInPath), { method: 'POST', headers, body });
      expect([path, answer.status]).toEqual([path, 200]);
      verifyAnswer(answer, answer.headers, request, signed.signature, client.answerKeys);
      expect(checkInAnswerShape.safeParse(JSON.parse(answer.body.toString())).success).toBe(true);
    }
    const beside = new ApplianceClient(`${bench.url}${passed}`, client.answerKeys);
    expect((await beside.enrol(await bench.claim('beta'))).signed).toBe(true);
  });

  it('does not take a signature for another path', async () => {
    await using bench = await TestServer.start([base]);
    const body = Buffer.from('{}');
    const signed = signRequest({ method: 'POST', path: '/other/v1/checkin', body }, generateKeyPair().privateKey);
    const { status } = await raw(`${bench.url}/holdfast/v1/checkin`, { method: 'POST', headers: signed, body });
    expect(status).toBe(401);
  });

  it('has a dashboard that names nothing by a path of its own, and a cookie for its own path only', async () => {
    await using bench = await TestServer.start([base]);
    const bare = await fetch(`${bench.url}/holdfast?x=1`, { redirect: 'manual' });
    expect([bare.status, bare.headers.get('location')]).toEqual([308, '/holdfast/']);
    const script = await (await fetch(`${bench.url}/holdfast/dashboard.js`)).text();
    expect(script).not.toMatch(/fetch\('\//);
    const answer = await fetch(`${bench.url}/holdfast/login`, {
      method: 'POST',
      body: new URLSearchParams({ token: bench.token }),
      redirect: 'manual',
    });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, './']);
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    const page = await (await fetch(`${bench.url}/holdfast/`, { headers: { cookie } })).text();
    expect(page).toContain('name="csrf-token"');
    expect(page).not.toMatch(/(?:href|src|action|data-api)="\//);
    // Without a path a browser sends it to where it came from, and below (RFC 6265, 5.1.4).
    expect(answer.headers.get('set-cookie')).not.toMatch(/path=/i);
  });

  it('serves releases and its API there', async () => {
    await using bench = await TestServer.start([base]);
    await bench.publish('1.0.0');
    expect((await fetch(`${bench.url}/holdfast/releases/metadata/timestamp.json`)).status).toBe(200);
    const answer = await fetch(`${bench.url}/holdfast/api/appliances`, {
      headers: { authorization: `Bearer ${bench.token}` },
    });
    expect(z.object({ appliances: z.array(z.unknown()) }).safeParse(await answer.json()).success).toBe(true);
  });
});
