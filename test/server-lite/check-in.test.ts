import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkInPath, problemShape } from '../../protocol/check-in.ts';
import { keyIdOf } from '../../protocol/ids.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { signRequest } from '../../protocol/trust/http-signature.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

const digest = 'a'.repeat(64);
const record = (name: string) => ({ kind: 'record', record: { name, sha256: digest } });
const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function withServer(): Promise<TestServer> {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return bench;
}

describe('who may check in (S52)', () => {
  it('refuses a check-in without a signature, and does not sign the refusal', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const reply = await client.send(checkInPath, client.request('agent'), null);
    expect([reply.status, code(reply.body), reply.signed]).toEqual([401, 'key-missing', false]);
  });

  it('tells a key that was never enrolled so, signed, and names the key', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const stranger = generateKeyPair();
    const reply = await client.send(checkInPath, client.request('agent'), stranger);
    expect([reply.status, code(reply.body), reply.signed]).toEqual([401, 'key-unknown', true]);
    expect(problemShape.parse(reply.body).key).toBe(keyIdOf(Buffer.from(stranger.publicKey, 'hex')));
  });

  it("refuses a signature that another appliance's key made in this one's name", async () => {
    await using bench = await withServer();
    const [alpha, beta] = [await bench.appliance('alpha'), await bench.appliance('beta')];
    const { headers, bytes } = signedAs(alpha, beta);
    const response = await fetch(`${bench.url}${checkInPath}`, { method: 'POST', headers, body: bytes });
    expect([response.status, code(await response.json())]).toEqual([401, 'signature-wrong']);
  });

  it('refuses a body that was changed on the way', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const { headers } = signedAs(client, client);
    const response = await fetch(`${bench.url}${checkInPath}`, { method: 'POST', headers, body: '{"proto":1}' });
    expect([response.status, code(await response.json())]).toEqual([401, 'signature-wrong']);
  });

  it('refuses a revoked key, while the other key of the appliance goes on', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await bench.api('POST', '/api/appliances/alpha/keys/agent/revoke');
    const reply = await client.tryCheckIn('agent');
    expect([reply.status, code(reply.body), reply.signed]).toEqual([401, 'key-revoked', true]);
    expect((await client.tryCheckIn('updater')).status).toBe(200);
  });

  it('tells a retired appliance so, signed', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await bench.api('POST', '/api/appliances/alpha/retire');
    const reply = await client.tryCheckIn('updater');
    expect([reply.status, code(reply.body), reply.signed]).toEqual([410, 'appliance-retired', true]);
  });

  it('refuses a body of more than 16 KiB before it reads it', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const reply = await client.tryCheckIn('agent', { padding: 'x'.repeat(17_000) });
    expect([reply.status, code(reply.body)]).toEqual([413, 'request-too-large']);
  });
});

function signedAs(named: ApplianceClient, signer: ApplianceClient) {
  const bytes = Buffer.from(JSON.stringify(named.request('agent')));
  const headers = signerHeaders(signer, bytes);
  const ownId = signerHeaders(named, bytes)['signature-input'];
  return { headers: { ...headers, 'signature-input': ownId, 'content-type': 'application/json' }, bytes };
}

function signerHeaders(client: ApplianceClient, body: Buffer) {
  return signRequest({ method: 'POST', path: checkInPath, body }, client.keys.agent.privateKey);
}

describe('the counter', () => {
  it('answers a replayed check-in with a signed 409 that names the next counter', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const request = client.request('agent');
    expect((await client.send(checkInPath, request, client.keys.agent)).status).toBe(200);
    const reply = await client.send(checkInPath, request, client.keys.agent);
    expect(reply).toMatchObject({ status: 409, body: { code: 'counter-too-low', next: 2 }, signed: true });
  });

  it('does not go back when the server was restarted', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    for (let i = 0; i < 3; i += 1) await client.checkIn('agent');
    await bench.stop();
    await bench.run();
    const again = Object.assign(await bench.client(), { keys: client.keys, seq: { agent: 2, updater: 0 } });
    expect((await again.tryCheckIn('agent')).body).toEqual({ code: 'counter-too-low', next: 4 });
    expect((await again.tryCheckIn('agent')).status).toBe(200);
  });

  it('says so when two devices alternate with one key', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    for (let i = 0; i < 5; i += 1) {
      const { seq } = client;
      await client.checkIn('agent');
      // Another one with the same counter: one device signs one only, and the same one again shows nothing.
      await client.tryCheckIn('agent', { seq: seq.agent, boot: `boot-of-the-other-${i}` });
    }
    expect((await bench.show('alpha')).state).toBe('attention');
    expect((await bench.show('alpha')).sentence).toMatch(/^two machines have used its identity/i);
  });
});

describe('events', () => {
  it('acknowledges what came by its id, asks for what must have been before it, and a repetition changes nothing', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const events = ['one', 'two', 'three'].map((name) => client.event('agent', record(name)));
    const ids = events.map(({ id }) => id);
    const first = await client.checkIn('agent', { events: [events[2], events[0]] });
    expect([first.stored, first.offerFrom, first.ackUpto]).toEqual([[ids[0], ids[2]], 2, 1]);
    const second = await client.checkIn('agent', { events: [events[1], events[0]] });
    expect([second.stored, second.offerFrom, second.ackUpto]).toEqual([[ids[0], ids[1]], undefined, 2]);
    const third = await client.checkIn('agent', { events });
    expect([third.stored, third.offerFrom, third.ackUpto]).toEqual([ids, undefined, 3]);
    const { body } = await bench.api('GET', '/api/appliances/alpha/records');
    expect(body).toEqual({
      next: null,
      records: ['one', 'two', 'three'].map((name, i) => ({ n: i + 1, name, sha256: digest })),
    });
  });

  it('keeps acknowledged events over a restart', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await client.checkIn('agent', { events: [client.event('agent', record('one'))] });
    await bench.stop();
    await bench.run();
    expect((await bench.show('alpha')).ackUpto.agent).toBe(1);
  });

  it('S35: one bad event and odd side data cost neither the orders nor the other events', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await bench.sendOrder('alpha', 'identify');
    const bad = { ...client.event('agent', record('bad')), record: { name: 7 } };
    const answer = await client.checkIn('agent', {
      events: [client.event('agent', record('good')), bad, { nonsense: true }, client.event('agent', record('last'))],
      health: { status: 4 },
      quarantine: 'everything',
    });
    expect(answer.orders).toHaveLength(1);
    expect(answer.ackUpto).toBe(3);
    const { body } = await bench.api('GET', '/api/events?appliance=alpha&kind=fault');
    expect(JSON.stringify(body)).toContain('cannot be read');
  });

  it('S35: an event whose meaning cannot be applied is stored, and orders go out all the same', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await bench.sendOrder('alpha', 'identify');
    const foreign = client.event('agent', { kind: 'order', order: { id: crypto.randomUUID(), state: 'succeeded' } });
    const answer = await client.checkIn('agent', { events: [foreign] });
    expect([answer.ackUpto, answer.orders.length]).toEqual([1, 1]);
  });

  it('keeps an event of a kind that it does not know', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const event = client.event('updater', { kind: 'moon-phase', text: 'full' });
    expect((await client.checkIn('updater', { events: [event] })).ackUpto).toBe(1);
    expect(JSON.stringify((await bench.api('GET', '/api/events?appliance=alpha')).body)).toContain('moon-phase');
  });
});

describe('the answer', () => {
  it('is 204 and signed when nothing changed since its etag, and never to a request with events', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const { etag } = await client.checkIn('updater');
    expect(await client.tryCheckIn('updater', { etag })).toMatchObject({ status: 204, body: null, signed: true });
    const events = [client.event('updater', { kind: 'note', text: 'hello' })];
    expect((await client.tryCheckIn('updater', { etag, events })).status).toBe(200);
  });

  it('tells how often each start of the agent checked in, to the updater too', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const start = 'b'.repeat(64);
    await client.checkIn('agent', { start });
    expect((await client.checkIn('updater')).seen).toEqual({ [start]: { version: '1.0.49', checkIns: 1 } });
    await client.checkIn('agent', { start });
    expect((await client.checkIn('agent', { start })).seen[start]?.checkIns).toBe(3);
    expect((await client.checkIn('updater')).seen[start]).toEqual({ version: '1.0.49', checkIns: 3 });
  });

  it('gives what is desired to the updater only, and orders to the agent only', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await bench.sendOrder('alpha', 'identify');
    const [agent, updater] = [await client.checkIn('agent'), await client.checkIn('updater')];
    expect([agent.desired, agent.orders.length, updater.orders.length]).toEqual([null, 1, 0]);
    expect(updater.desired).toMatchObject({ release: null, path: '/releases', reasons: ['no rollout is under way'] });
  });

  it('signs its refusal of a check-in that it cannot read', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const reply = await client.send(checkInPath, 'no JSON', client.keys.agent);
    expect([reply.status, code(reply.body), reply.signed]).toEqual([400, 'check-in-malformed', true]);
  });
});

describe('presence', () => {
  it('S50: one appliance that checks in does not make the other ones of its site look alive', async () => {
    await using bench = await withServer();
    const [alpha, beta] = [await bench.appliance('alpha'), await bench.appliance('beta')];
    await beta.checkIn('agent');
    bench.clock.aheadMs += 3_600_000;
    await alpha.checkIn('agent');
    await alpha.checkIn('updater');
    expect([(await bench.show('alpha')).state, (await bench.show('beta')).state]).toEqual(['ok', 'offline']);
    expect((await bench.show('beta')).sentence).toBe('Offline: not heard from for 60 min; last on 1.0.49');
  });

  it('calls an appliance blocked whose agent checks in and whose updater does not', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await client.checkIn('agent');
    const view = await bench.show('alpha');
    expect([view.state, view.sentence, view.why]).toEqual(['blocked', expect.stringMatching(/does not check in$/), '']);
    expect(view.reasons).toContain('its updater does not check in (it never did), so nothing can be installed');
  });

  it('remembers over a restart who was last seen when', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await client.checkIn('agent');
    const { atMs } = (await bench.show('alpha')).checkIns.agent ?? {};
    await bench.stop();
    await bench.run();
    expect((await bench.show('alpha')).checkIns.agent?.atMs).toBe(atMs);
  });
});
