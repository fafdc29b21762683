import { describe, expect, it } from 'vitest';
import { checkInAnswerShape, checkInPath, checkInRequestShape, counterConflictShape } from '../../protocol/check-in.ts';
import { readCheckIn } from '../../server-lite/machine/read-check-in.ts';
import { addressOf } from '../../server-lite/peer.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';

const behindProxy = { openToThisHost: false, trustedProxies: ['127.0.0.1'] };

/** Two machines, by the boots that they are in. */
async function takeTurns(client: ApplianceClient, times: number, changes: (i: number) => object = () => ({})) {
  for (let i = 0; i < times; i += 1)
    await client.tryCheckIn('updater', { boot: i % 2 === 0 ? 'boot-a' : 'boot-b', ...changes(i) });
}

async function answered(client: ApplianceClient) {
  const { status, body } = await client.tryCheckIn('updater');
  if (status !== 409) return body;
  client.seq.updater = counterConflictShape.parse(body).next - 1;
  return (await client.tryCheckIn('updater')).body;
}

describe('the machines of an alarm', () => {
  it.each([
    ['is no address', 'A'.repeat(300)],
    ['has a zone that no machine has', `fe80::1%${'A'.repeat(300)}`],
  ])('are told in an answer that can be read, whatever a proxy hands on: %s', async (_, forwarded) => {
    await using bench = await TestServer.start([], behindProxy);
    await bench.publish('1.0.49');
    const client = await bench.appliance('alpha');
    for (let i = 0; i < 8; i += 1) {
      const request = client.request('agent', { boot: `boot-${i % 2}` });
      await client.send(checkInPath, request, client.keys.agent, { 'x-forwarded-for': forwarded });
    }
    for (const each of [client, client]) {
      const answer = checkInAnswerShape.parse(await answered(each));
      expect(answer.clone).toHaveLength(2);
    }
    {
      using database = openServerDatabase(bench.data);
      const sides = ['a', 'b', 'c', 'd', 'e', ''].map((one) => {
        return { boot: one.repeat(300), address: 'A'.repeat(300), host: null, lastMs: 1 };
      });
      database.db.prepare('UPDATE clones SET sides = ?').run(JSON.stringify(sides));
    }
    await bench.stop();
    await bench.run();
    const answer = checkInAnswerShape.parse(await answered(await bench.reconnected(client)));
    expect(answer.clone).toHaveLength(4);
  });

  it('are called by what they call themselves', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const client = await bench.appliance('alpha');
    await takeTurns(client, 8, (i) => ({ machine: i % 2 === 0 ? 'host-a' : 'host-b' }));
    const { alert } = await bench.show('alpha');
    for (const host of ['host-a', 'host-b']) expect(alert).toContain(host);
    expect(alert).not.toContain('a machine at');
  });

  it("of one appliance are forgotten when its alarm ends, and no other appliance's are", async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const [alpha, beta] = [await bench.appliance('alpha'), await bench.appliance('beta')];
    await takeTurns(alpha, 8);
    // Its next machine's check-in is the one that shows it.
    await takeTurns(beta, 3);
    expect((await bench.api('POST', '/api/appliances/alpha/clone-solved')).status).toBe(200);
    expect((await bench.show('beta')).alert ?? '').not.toContain('two machines');
    await beta.tryCheckIn('updater', { boot: 'boot-b' });
    expect((await bench.show('beta')).alert).toContain('two machines');
    await alpha.tryCheckIn('updater', { boot: 'boot-b' });
    await alpha.tryCheckIn('updater', { boot: 'boot-a' });
    expect((await bench.show('alpha')).alert ?? '').not.toContain('two machines');
  });
});

describe('an address', () => {
  const socket = { remoteAddress: '10.0.0.1' };
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::7', '2001:db8::7'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['fe80::1%eth0%more', 'fe80::1%eth0'],
    ['fe80::1%<b>', 'fe80::1'],
    [`fe80::1%${'x'.repeat(300)}`, 'fe80::1'],
    ['nobody', '10.0.0.1'],
  ])('%s is told as %s', (ip, told) => {
    expect(addressOf({ ip, socket })).toBe(told);
  });
});

describe('a check-in that is whole', () => {
  it('is read with each of its fields', () => {
    const digest = 'a'.repeat(64);
    const whole = {
      proto: 1,
      features: ['one'],
      boot: 'boot-1',
      seq: 7,
      clock: { wallS: 5, monoMs: 6 },
      have: { app: { version: '1.0.49', slot: '0' } },
      etag: 'etag',
      health: { status: 'ok', row: 'idle' },
      start: digest,
      awaited: { start: digest, version: '1.0.49' },
      last: digest,
      authority: 'fleet.example',
      machine: 'host-a',
      quarantine: [digest],
      trusted: { snapshot: 3, timestamp: 4 },
      events: [],
    };
    const parsed = checkInRequestShape.parse(whole);
    expect(new Set(Object.keys(parsed))).toEqual(new Set(Object.keys(checkInRequestShape.shape)));
    const { request, faults } = readCheckIn(Buffer.from(JSON.stringify(whole)));
    expect([request, faults]).toEqual([parsed, []]);
  });
});
