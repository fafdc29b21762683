import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkInPath, counterConflictShape } from '../../protocol/check-in.ts';
import { signRequest } from '../../protocol/trust/http-signature.ts';
import type { ApplianceClient, Role } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

/** What somebody without the key has: the bytes of requests and their signatures, as they went over the wire. */
function recordOf(client: ApplianceClient, role: Role) {
  const body = Buffer.from(JSON.stringify(client.request(role)));
  const signed = signRequest({ method: 'POST', path: checkInPath, body }, client.keys[role].privateKey);
  const headers = { 'content-type': 'application/json', ...signed };
  return async () => (await fetch(`${client.url}${checkInPath}`, { method: 'POST', headers, body })).status;
}

async function withAlpha() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  const client = await bench.appliance('alpha');
  for (const role of ['agent', 'updater'] as const) await client.checkIn(role);
  const twin = await bench.reconnected(client);
  // `seq` is shared by what reconnects: a copy of a disk has its own.
  Object.assign(twin, { seq: { ...client.seq } });
  return { bench, client, twin };
}

/** One check-in as an appliance makes it: with the next counter that the server names, until it is taken. */
async function persist(client: ApplianceClient, role: Role): Promise<number> {
  for (let refusals = 0; ; refusals += 1) {
    const { status, body } = await client.tryCheckIn(role, { boot: `boot-of-${refusals}` });
    if (status !== 409) return refusals;
    client.seq[role] = counterConflictShape.parse(body).next - 1;
  }
}

const stateOf = async (bench: TestServer) => (await bench.show('alpha')).sentence;
const alarms = async (bench: TestServer) => JSON.stringify((await bench.api('GET', '/api/events?kind=clone')).body);

describe('one device', () => {
  it.each(['updater', 'agent'] as const)(
    '(%s) is not two because somebody sends again what he recorded',
    async (role) => {
      const { bench, client } = await withAlpha();
      await using _ = bench;
      const recorded = Array.from({ length: 3 }, () => recordOf(client, role));
      for (const send of recorded) expect(await send()).toBeLessThan(300);
      for (let i = 0; i < 4; i += 1) for (const send of recorded) expect(await send()).toBe(409);
      for (let i = 0; i < 3; i += 1) {
        expect(await persist(client, role)).toBe(0);
        expect(await recorded[0]?.()).toBe(409);
      }
      await bench.stop();
      await bench.run();
      const again = await bench.reconnected(client);
      for (const send of recorded.map((_one) => recordOf(again, role))) await send();
      expect(await stateOf(bench)).not.toContain('wo machines');
      expect(await alarms(bench)).not.toContain('wo machines');
    },
  );

  it('is not two because its requests are held up on the way and come in another order', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const heldUp = Array.from({ length: 6 }, () => recordOf(client, 'updater'));
    expect(await persist(client, 'updater')).toBe(0);
    for (const send of heldUp) expect(await send()).toBe(409);
    expect(await stateOf(bench)).not.toContain('wo machines');
  });

  it('is not two because its disk was put back once, however often that request is sent again', async () => {
    const { bench, client, twin } = await withAlpha();
    await using _ = bench;
    await persist(client, 'updater');
    const putBack = recordOf(twin, 'updater');
    for (let i = 0; i < 6; i += 1) expect(await putBack()).toBe(409);
    expect(await persist(twin, 'updater')).toBe(0);
    expect(await stateOf(bench)).not.toContain('wo machines');
  });
});

describe('two devices with one key', () => {
  it.each(['updater', 'agent'] as const)(
    '(%s) are noticed when they take turns, also after the server restarted',
    async (role) => {
      const { bench, client, twin } = await withAlpha();
      await using _ = bench;
      let devices = [client, twin];
      const takeTurns = async (rounds: number) => {
        for (let i = 0; i < rounds; i += 1) for (const each of devices) await persist(each, role);
      };
      await takeTurns(5);
      for (const other of ['agent', 'updater'] as const) await persist(client, other);
      expect(await stateOf(bench)).toContain('wo machines have used its identity');
      expect(await alarms(bench)).toContain(`more than one machine uses the ${role}'s key`);
      await bench.stop();
      await bench.run();
      devices = await Promise.all(devices.map((each) => bench.reconnected(each)));
      for (const other of ['agent', 'updater'] as const) await persist(devices[0] ?? client, other);
      await takeTurns(5);
      expect(await stateOf(bench)).toContain('wo machines have used its identity');
    },
  );

  it('are noticed where one of them speaks ten times as often', async () => {
    const { bench, client, twin } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 6; i += 1) {
      for (let k = 0; k < 10; k += 1) await client.tryCheckIn('agent');
      await persist(twin, 'agent');
      await persist(client, 'agent');
    }
    expect(await alarms(bench)).toContain('more than one machine');
  });

  it.each(['updater', 'agent'] as const)(
    '(%s) are noticed where one is in a new boot each time and names no answer',
    async (role) => {
      const { bench, client, twin } = await withAlpha();
      await using _ = bench;
      let last: string | undefined;
      for (let turn = 0; turn < 4; turn += 1) {
        for (let i = 0; i < 5; i += 1) {
          const asked = await twin.tryCheckIn(role, { boot: randomUUID() });
          if (asked.status === 409) twin.seq[role] = counterConflictShape.parse(asked.body).next - 1;
        }
        for (;;) {
          const asked = await client.tryCheckIn(role, { boot: 'of-its-own', ...(last === undefined ? {} : { last }) });
          if (asked.status !== 409) {
            last = asked.mark;
            break;
          }
          client.seq[role] = counterConflictShape.parse(asked.body).next - 1;
        }
      }
      expect(await alarms(bench)).toContain(`more than one machine uses the ${role}'s key`);
    },
  );

  it('are told of where one of them sends without end, so that the other is always too late', async () => {
    const { bench, twin } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 299; i += 1) await twin.tryCheckIn('updater', { boot: 'copied' });
    expect(await alarms(bench)).not.toContain('more than one machine');
    await twin.tryCheckIn('updater', { boot: 'copied' });
    expect(await alarms(bench)).toContain('more than one machine');
  });
});
