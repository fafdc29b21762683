import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkInAnswerShape, checkInPath } from '../../protocol/check-in.ts';
import { decodeClaim, enrolPath } from '../../protocol/claim.ts';
import { generateKeyPair, type KeyPair } from '../../protocol/trust/ed25519.ts';
import { type RequestTarget, SignatureError, signRequest, verifyAnswer } from '../../protocol/trust/http-signature.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

const codeShape = z.object({ code: z.string() });
const hostOf = (bench: TestServer) => new URL(bench.url).host;

interface Sent {
  /** Whose request it is. */
  readonly client: ApplianceClient;
  readonly key?: KeyPair;
  readonly path?: string;
  readonly body: object;
  /** What the signature covers; null: nothing beside the first profile. */
  readonly target: RequestTarget | null;
  /** Where it goes in truth. */
  readonly to: TestServer;
  readonly host?: string;
  readonly query?: string;
}

interface Got {
  readonly status: number;
  readonly body: unknown;
  /** By the client's server, for this very request. */
  readonly isSigned: boolean;
}

/** By a connection of its own, so that path and Host header are those of the test. */
async function send({
  client,
  key = client.keys.agent,
  path = checkInPath,
  body,
  target,
  to,
  ...way
}: Sent): Promise<Got> {
  const bytes = Buffer.from(JSON.stringify(body));
  const asked = { method: 'POST', path, ...(target === null ? {} : { target }) };
  const signed = signRequest({ ...asked, body: bytes }, key.privateKey);
  const { hostname, port, host } = new URL(to.url);
  const headers = { ...signed, host: way.host ?? host, 'content-length': bytes.length };
  const answer = await new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>(
    (resolve, reject) => {
      const sent = httpRequest(
        { hostname, port, method: 'POST', path: path + (way.query ?? ''), headers },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
          );
        },
      );
      sent.on('error', reject).end(bytes);
    },
  );
  return { status: answer.status, body: jsonOf(answer.body), isSigned: isSigned() };

  function isSigned(): boolean {
    try {
      verifyAnswer(answer, answer.headers, asked, signed.signature, client.answerKeys);
      return true;
    } catch (error) {
      if (error instanceof SignatureError) return false;
      throw error;
    }
  }
}

function jsonOf(bytes: Buffer): unknown {
  return bytes.length === 0 ? null : JSON.parse(bytes.toString('utf8'));
}

const codeOf = ({ body }: Got): string | undefined => codeShape.safeParse(body).data?.code;
const featuresOf = ({ body }: Got) => checkInAnswerShape.parse(body).features;
const targetFor = (authority: string, query = '?'): RequestTarget => ({ authority, query });

async function bench(publicUrls: readonly string[] = []): Promise<TestServer> {
  const server = await TestServer.start(publicUrls);
  await server.publish('1.0.0');
  return server;
}

describe('a check-in that names the authority that it asks by', () => {
  it('is accepted in both profiles, and told that the server goes by it', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const authority = hostOf(to);
    for (const target of [null, targetFor(authority)]) {
      const got = await send({ client, to, target, body: client.request('agent', { authority }) });
      expect([got.status, got.isSigned, featuresOf(got)]).toEqual([200, true, ['authority']]);
    }
  });

  it('of a released program, which names none, is accepted and told nothing of it', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const got = await send({ client, to, target: null, body: client.request('agent') });
    expect([got.status, featuresOf(got)]).toEqual([200, undefined]);
  });

  it('is told so once it names one, although nothing else changed', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const { etag } = await client.checkIn('updater');
    expect((await client.tryCheckIn('updater', { etag })).status).toBe(204);
    const named = await client.checkIn('updater', { etag, authority: hostOf(to) });
    expect(named.features).toEqual(['authority']);
    expect((await client.tryCheckIn('updater', { etag: named.etag, authority: hostOf(to) })).status).toBe(204);
  });

  it.each([
    ['authority', (own: string) => ({ target: targetFor('other.example'), authority: own })],
    ['query', (own: string) => ({ target: targetFor(own, '?a=1'), authority: own })],
  ])('is refused where its signature covers another %s than it came with', async (_what, of) => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const { target, authority } = of(hostOf(to));
    const got = await send({ client, to, target, body: client.request('agent', { authority }) });
    expect([got.status, codeOf(got), got.isSigned]).toEqual([401, 'signature-wrong', false]);
  });

  it('is refused with a query that somebody added, which the first profile does not see', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const authority = hostOf(to);
    const ask = (target: RequestTarget | null, query: string) =>
      send({ client, to, target, query, body: client.request('agent', { authority }) });
    expect(codeOf(await ask(targetFor(authority), '?a=1'))).toBe('signature-wrong');
    expect((await ask(targetFor(authority, '?a=1'), '?a=1')).status).toBe(200);
    expect((await ask(targetFor(authority, '?a=?b'), '?a=?b')).status).toBe(200);
    expect((await ask(null, '?a=1')).status).toBe(200);
  });

  it('is read by the Host header where its body names none', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const ask = (authority: string) =>
      send({ client, to, target: targetFor(authority), body: client.request('agent') });
    expect((await ask(hostOf(to))).status).toBe(200);
    expect(codeOf(await ask('other.example'))).toBe('signature-wrong');
  });

  it('by a key that is not known is told so, signed, in the profile of its question', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const body = client.request('agent', { authority: hostOf(to) });
    const got = await send({ client, key: generateKeyPair(), to, target: targetFor(hostOf(to)), body });
    expect([got.status, codeOf(got), got.isSigned]).toEqual([401, 'key-unknown', true]);
  });
});

describe('the authorities of a server', () => {
  const urls = ['https://Fleet.Example', 'https://[2001:DB8:0::1]:8443/holdfast', 'http://old.example:80'];

  it.each(['fleet.example', '[2001:db8::1]:8443', 'old.example'])(
    'include %s, of its public addresses, whatever a reverse proxy puts into the Host header',
    async (authority) => {
      await using to = await bench(urls);
      const client = await to.appliance('alpha');
      for (const host of [hostOf(to), 'fleet.example']) {
        const body = client.request('agent', { authority });
        const got = await send({ client, to, target: targetFor(authority), host, body });
        expect([got.status, got.isSigned, featuresOf(got)]).toEqual([200, true, ['authority']]);
      }
    },
  );

  it('include the names of loopback and its public ones at the port where it listens, and no other port', async () => {
    await using to = await bench(urls);
    const client = await to.appliance('alpha');
    const { port } = new URL(to.url);
    const features = async (authority: string) =>
      (await client.checkIn('agent', { authority })).features?.includes('authority') ?? false;
    for (const name of ['127.0.0.1', 'localhost', '[::1]', 'fleet.example'])
      expect([name, await features(`${name}:${port}`)]).toEqual([name, true]);
    for (const other of ['127.0.0.1', 'localhost:1', 'fleet.example:8080', 'sub.fleet.example'])
      expect([other, await features(other)]).toEqual([other, false]);
  });
});

describe('a request that was signed for another server', () => {
  it('is refused, signed, although the same key is enrolled here', async () => {
    await using from = await bench();
    await using to = await bench();
    const client = await from.appliance('alpha');
    const beside = Object.assign(await to.client(), { keys: client.keys });
    await beside.enrolled(await to.claim('alpha'));
    const authority = hostOf(from);
    const body = client.request('updater', { authority, features: ['authority'] });
    const key = client.keys.updater;
    const atHome = await send({ client, key, to: from, target: targetFor(authority), body });
    expect(atHome.status).toBe(200);
    // Whoever carries it on says in the Host header whatever helps; and also what its own server could be made to ask for.
    for (const host of [hostOf(to), `127.0.0.1:${new URL(from.url).port}`]) {
      const carried = await send({ client: beside, key, to, target: targetFor(authority), host, body });
      expect([carried.status, codeOf(carried), carried.isSigned]).toEqual([421, 'authority-unknown', true]);
    }
    const inFirst = await send({ client: beside, key, to, target: null, body });
    expect([inFirst.status, codeOf(inFirst), inFirst.isSigned]).toEqual([421, 'authority-unknown', true]);
    // It counted for nothing: neither the counter nor a look moved.
    expect((await beside.checkIn('updater', { authority: hostOf(to), seq: 1 })).features).toEqual(['authority']);
  });

  it('is told of once: sent again, it neither raises a notice nor ends one', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const notices = async () => JSON.stringify((await to.server()).notices).includes('behind.example');
    const own = client.request('updater', { authority: hostOf(to), features: ['authority'] });
    const foreign = client.request('updater', { authority: 'behind.example:8443' });
    const again = (body: object) => send({ client, key: client.keys.updater, to, target: null, body });
    expect([(await again(own)).status, (await again(foreign)).status, await notices()]).toEqual([200, 200, true]);
    expect([(await again(own)).status, await notices()]).toEqual([409, true]);
    await client.checkIn('updater', { authority: hostOf(to) });
    expect([await notices(), (await again(foreign)).status, await notices()]).toEqual([false, 409, false]);
  });

  it('is told of with the name, and who asks in the first profile meanwhile checks in', async () => {
    await using to = await bench();
    const client = await to.appliance('alpha');
    const authority = 'behind.example:8443';
    const got = await send({
      client,
      to,
      target: targetFor(authority),
      body: client.request('agent', { authority, features: ['authority'] }),
    });
    expect(got).toMatchObject({ status: 421, isSigned: true, body: { code: 'authority-unknown' } });
    expect(z.object({ next: z.string() }).parse(got.body).next).toContain(
      `with one more --public-url: https://${authority}`,
    );
    expect((await client.checkIn('agent', { authority })).features).toBeUndefined();
    const notices = async () => (await to.server()).notices.filter((text) => text.includes('does not go by'));
    expect(await notices()).toEqual([expect.stringContaining(`alpha calls this server ${authority}`)]);
    await client.checkIn('agent', { authority: hostOf(to) });
    expect(await notices()).toEqual([]);
  });

  it('enrols nobody', async () => {
    await using to = await bench();
    const client = await to.client();
    const claim = await to.claim('alpha');
    expect(decodeClaim(claim).features).toEqual(['authority']);
    const enrol = (authority: string) => {
      const body = { ...client.enrolmentByKey(claim), authority };
      return send({ client, key: client.keys.updater, path: enrolPath, to, target: targetFor(authority), body });
    };
    const foreign = await enrol('other.example');
    expect([foreign.status, codeOf(foreign), foreign.isSigned]).toEqual([421, 'authority-unknown', true]);
    const own = await enrol(hostOf(to));
    expect([own.status, own.isSigned]).toEqual([200, true]);
  });
});
