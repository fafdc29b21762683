import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkInPath } from '../../protocol/check-in.ts';
import { enrolPath } from '../../protocol/claim.ts';
import type { KeyPair } from '../../protocol/trust/ed25519.ts';
import { signRequest } from '../../protocol/trust/http-signature.ts';
import { type Standing, victimOf } from '../../server-lite/connections/victim.ts';
import { Crowd, slowBody } from '../support/crowd.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const room = 8;

/** A signed request as it goes over the wire, and as anybody on the way may record it. */
function bytesOf(path: string, request: object, key: KeyPair): Buffer {
  const body = Buffer.from(JSON.stringify(request));
  const signed = signRequest({ method: 'POST', path, body }, key.privateKey);
  const headers = { host: 'localhost', 'content-type': 'application/json', 'content-length': body.length, ...signed };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}

/** @returns the status of the answer to one request on a connection */
async function answerTo(socket: Socket, request: Buffer | string): Promise<number> {
  let text = '';
  socket.on('data', (part) => {
    text += String(part);
  });
  socket.write(request);
  return until('the answer', patienceMs, () => {
    if (socket.destroyed || socket.readableEnded) throw new Error('the connection was closed before its answer');
    return text === '' ? null : Number(text.slice(9, 12));
  });
}

/** Each of as many connections as there is room for sends a whole request, and then one that does not end. */
async function holdRoom(bench: TestServer, requestOf: (nth: number) => Buffer): Promise<number[]> {
  const thieves = new Crowd(bench.url);
  const statuses = [];
  for (let i = 0; i < room; i += 1) {
    const [socket] = await thieves.add(1, '');
    if (socket === undefined) throw new TypeError('one was asked for');
    statuses.push(await answerTo(socket, requestOf(i)));
    socket.write(slowBody);
  }
  return statuses;
}

async function operatorStatus(bench: TestServer): Promise<number> {
  const headers = { authorization: `Bearer ${bench.token}`, connection: 'close' };
  return (await fetch(`${bench.url}/api/orders`, { headers })).status;
}

describe('a connection proves nothing', () => {
  it('by a check-in that somebody recorded: replayed on every connection, it keeps nobody out', async () => {
    await using bench = await TestServer.start([], {}, { all: room, perPeer: room });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const recorded = bytesOf(checkInPath, client.request('agent'), client.keys.agent);
    expect(new Set(await holdRoom(bench, () => recorded))).toEqual(new Set([200, 409]));
    for (let i = 0; i < room; i += 1) expect(await operatorStatus(bench)).toBe(200);
    expect(await client.checkIn('updater')).toMatchObject({ nextInS: expect.any(Number) });
  });

  it('by an enrolment that somebody recorded', async () => {
    await using bench = await TestServer.start([], {}, { all: room, perPeer: room, keepAliveMs: patienceMs });
    await bench.publish('1.0.52');
    const client = await bench.client();
    const recorded = bytesOf(enrolPath, client.enrolmentByKey(await bench.claim('alpha')), client.keys.updater);
    const operator = await keptConnection(bench);
    expect(new Set(await holdRoom(bench, () => recorded))).toEqual(new Set([200]));
    expect(await operator.isSame()).toBe(true);
    expect(await client.checkIn('updater')).toMatchObject({ nextInS: expect.any(Number) });
  });
});

/** An operator's connection between two requests. */
async function keptConnection(bench: TestServer) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const look = async () => {
    const headers = { authorization: `Bearer ${bench.token}` };
    const sent = httpRequest(`${bench.url}/api/orders`, { agent, headers }).end();
    const [response]: IncomingMessage[] = await once(sent, 'response');
    response?.resume();
    await once(sent, 'close');
    return sent.socket?.localPort;
  };
  const port = await look();
  return { isSame: async () => (await look()) === port };
}

describe('a key of an appliance', () => {
  it("has a share: whoever holds it takes nobody else's room, however often it checks in", async () => {
    await using bench = await TestServer.start([], {}, { all: room, perPeer: room, keepAliveMs: patienceMs });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const operator = await keptConnection(bench);
    const next = () => bytesOf(checkInPath, client.request('agent'), client.keys.agent);
    for (let i = 0; i < 2; i += 1) expect(new Set(await holdRoom(bench, next))).toEqual(new Set([200]));
    expect(await operator.isSame()).toBe(true);
    expect(await client.checkIn('updater')).toMatchObject({ nextInS: expect.any(Number) });
  });

  it('proves its connection for the next request, and no longer', async () => {
    await using bench = await TestServer.start([], {}, { all: room, perPeer: room, keepAliveMs: patienceMs });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const own = new Crowd(bench.url);
    const [afresh, twice] = await own.add(2, '');
    if (afresh === undefined || twice === undefined) throw new TypeError('two were asked for');
    const checkIn = () => bytesOf(checkInPath, client.request('agent'), client.keys.agent);
    const health = 'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n';
    expect([await answerTo(afresh, checkIn()), await answerTo(twice, checkIn())]).toEqual([200, 200]);
    expect(await answerTo(twice, health)).toBe(200);
    const strangers = new Crowd(bench.url);
    await strangers.add(3 * room, slowBody);
    // Until the server has settled all of them: whom it ends is its choice, and it goes on choosing while they come.
    await strangers.shrinksTo(room - 1);
    await own.shrinksTo(1);
    expect([own.open([twice]), await answerTo(afresh, health)]).toEqual([0, 200]);
  });
});

describe('an upload of an operator', () => {
  it('that takes long is ended by no stranger', async () => {
    await using bench = await TestServer.start([], {}, { all: room, perPeer: room });
    const headers = { authorization: `Bearer ${bench.token}`, 'content-length': 1_000 };
    const sent: ClientRequest = httpRequest(`${bench.url}/api/releases`, { method: 'POST', headers });
    const answered = once(sent, 'response');
    sent.write(Buffer.alloc(500));
    const incoming = join(bench.data, 'releases', 'incoming');
    await until('the upload begins', patienceMs, () => (readdirSync(incoming).length > 0 ? true : null));
    bench.clock.aheadMs += 11_000;
    const strangers = new Crowd(bench.url);
    await strangers.add(3 * room, slowBody);
    await strangers.shrinksTo(room - 1);
    sent.end(Buffer.alloc(500));
    const [response]: IncomingMessage[] = await answered;
    response?.resume();
    expect(response?.statusCode).toBe(422);
  });
});

describe('who makes room', () => {
  const at = (isProven: boolean, isIdle: boolean, ageMs: number, bytes = 0): Standing => {
    return { isProven, isIdle, sinceMs: 100_000 - ageMs, bytes };
  };
  it('is who waits for nothing, then the slowest, then the oldest of the new, and then the proven ones in the same order', () => {
    const inOrder = [
      at(false, true, 9_000),
      at(false, true, 1_000),
      at(false, false, 20_000, 200),
      at(false, false, 11_000, 1_000_000),
      at(false, false, 3_000),
      at(false, false, 1_000),
      at(true, true, 90_000),
      at(true, true, 1),
      // An operator's upload takes long: that is no reason to end it for a stranger.
      at(true, false, 20_000, 100),
      at(true, false, 11_000, 1_000_000),
      at(true, false, 3_000),
      at(true, false, 1_000),
    ];
    const left = [...inOrder].reverse();
    const gone = inOrder.map(() => {
      const victim = victimOf(left, 100_000);
      if (victim !== null) left.splice(left.indexOf(victim), 1);
      return victim;
    });
    expect(gone).toEqual(inOrder);
  });

  it('is a proven one only where there is no other, and always somebody', () => {
    const standing = fc.record({
      isProven: fc.boolean(),
      isIdle: fc.boolean(),
      sinceMs: fc.integer({ min: 0, max: 100_000 }),
      bytes: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(standing), (all) => {
        const victim = victimOf(all, 100_000);
        expect(victim?.isProven).toBe(all.length === 0 ? undefined : all.every(({ isProven }) => isProven));
      }),
    );
  });
});
