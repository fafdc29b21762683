import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { ApplianceClient } from '../../support/appliance-client.ts';
import { TestServer } from '../../support/test-server.ts';

const start = sha256('the start on trial');
const version = '1.0.52';
const awaited = { start, version };

async function withAppliance() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  const client = await bench.appliance('alpha', '1.0.49');
  const onTrial = { app: { version, slot: '1' } };
  return {
    bench,
    client,
    /** The agent on trial checks in. */
    agent: () => client.checkIn('agent', { start, have: onTrial }),
    /** Whoever has the agent's key, with as many starts as push out every one that the server keeps. */
    thief: async (of: number) => {
      for (const n of [1, 2, 3, 4, 5]) await client.checkIn('agent', { start: sha256(`${of}.${n}`), have: onTrial });
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

const toldOf = async (client: ApplianceClient, changes: object = { awaited }) =>
  (await client.checkIn('updater', changes)).seen[start];

describe('the start that the updater waits for', () => {
  it("is counted whatever comes with the agent's key in between", async () => {
    await using made = await withAppliance();
    const { client, agent, thief } = made;
    const counts: unknown[] = [];
    for (const of of [1, 2, 3, 4]) {
      await agent();
      counts.push(await toldOf(client));
      await thief(of);
      counts.push(await toldOf(client));
    }
    const told = [1, 1, 2, 2, 3, 3, 3, 3].map((checkIns) => ({ version, checkIns }));
    expect(counts).toEqual(told);
  });

  it('is not counted anew by check-ins that name another version, and not for them', async () => {
    await using made = await withAppliance();
    const { client, agent } = made;
    await agent();
    expect(await toldOf(client)).toEqual({ version, checkIns: 1 });
    for (let i = 0; i < 3; i += 1)
      await client.checkIn('agent', { start, have: { app: { version: '1.0.50', slot: '1' } } });
    expect(await toldOf(client)).toEqual({ version, checkIns: 1 });
    await agent();
    expect(await toldOf(client)).toEqual({ version, checkIns: 2 });
  });

  it('is one that the server has not seen until it comes, and that is said', async () => {
    await using made = await withAppliance();
    const { client, thief } = made;
    await thief(1);
    await toldOf(client);
    await thief(2);
    expect(await toldOf(client)).toEqual({ version, checkIns: 0 });
  });

  it('is one at a time, and none where the updater waits for none', async () => {
    await using made = await withAppliance();
    const { client, agent, thief } = made;
    for (const n of [1, 2, 3]) await toldOf(client, { awaited: { start: sha256(`other ${n}`), version } });
    await thief(1);
    const { seen } = await client.checkIn('updater', { awaited });
    expect(Object.keys(seen)).toHaveLength(5);
    await agent();
    await agent();
    await thief(2);
    expect(await toldOf(client)).toEqual({ version, checkIns: 2 });
    expect(await toldOf(client, {})).toBeUndefined();
  });

  it("is named by the updater alone: the agent's key can neither name nor end it", async () => {
    await using made = await withAppliance();
    const { client, agent, thief } = made;
    await agent();
    await toldOf(client);
    await client.checkIn('agent', { awaited: { start: sha256('of the thief'), version } });
    await client.checkIn('agent');
    await thief(1);
    await agent();
    await thief(2);
    expect(await toldOf(client)).toEqual({ version, checkIns: 2 });
  });

  it('is among the newest four of an updater that was released before it could name one', async () => {
    await using made = await withAppliance();
    const { client, agent, thief } = made;
    const told = () => toldOf(client, {});
    await agent();
    expect(await told()).toEqual({ version, checkIns: 1 });
    for (const n of [1, 2, 3]) await client.checkIn('agent', { start: sha256(`another ${n}`) });
    await agent();
    expect(await told()).toEqual({ version, checkIns: 2 });
    // Four others push it out: it begins anew, and its trial is passed by two more.
    await thief(1);
    expect(await told()).toBeUndefined();
    await agent();
    await agent();
    expect(await told()).toEqual({ version, checkIns: 2 });
  });

  it('is remembered over a restart of the server', async () => {
    await using made = await withAppliance();
    const { bench, client, agent, thief } = made;
    await agent();
    await toldOf(client);
    await agent();
    await thief(1);
    await bench.stop();
    await bench.run();
    const again = Object.assign(await bench.client(), { keys: client.keys, seq: { ...client.seq }, have: client.have });
    expect(await toldOf(again)).toEqual({ version, checkIns: 2 });
  });

  it('costs only itself where it cannot be read', async () => {
    await using made = await withAppliance();
    const { client, agent } = made;
    await agent();
    expect(await toldOf(client, { awaited: 'a start of the future' })).toEqual({ version, checkIns: 1 });
  });
});
