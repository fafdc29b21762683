import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkInPath } from '../../../protocol/check-in.ts';
import { TestServer } from '../../support/test-server.ts';

const listShape = z.object({
  events: z.array(z.object({ role: z.string(), kind: z.string(), text: z.string(), body: z.unknown() })),
});

async function withAlpha() {
  const bench = await TestServer.start([], { openToThisHost: true });
  const manifest = await bench.publish('1.0.52');
  const client = await bench.appliance('alpha');
  for (const role of ['agent', 'updater'] as const) await client.checkIn(role);
  const eventsOf = async (query: string) => {
    return listShape.parse((await bench.api('GET', `/api/events?appliance=alpha&${query}`)).body).events;
  };
  return { bench, client, manifest, eventsOf };
}

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const crash = { count: 1, exit: { code: 1, signal: null }, version: '1.0.49', output: 'real' };
const evidence = { exit: null, output: 'seen', checks: [], server: null, timeline: [] };
const release = (manifest: string) =>
  ({ tx: 1, component: 'app', manifest, version: '1.0.52', from: '1.0.49', reason: 'stalled', evidence }) as const;

describe('what is stored of an event', () => {
  it.each([
    ['a field that nobody knows', 1_500],
    ['one at the bound of a check-in', 7_500],
  ])('is what was parsed: %s, nested %d deep, leaves every view readable', async (_, depth) => {
    const { bench, client } = await withAlpha();
    await using _bench = bench;
    for (const role of ['agent', 'updater'] as const) {
      const event = { ...client.event(role, { kind: 'note', text: 'hello' }), x: 'DEEP' };
      for (let i = 0; i < 2; i += 1) {
        const body = JSON.stringify(client.request(role, { events: [event] })).replace('"DEEP"', nested(depth));
        expect(await client.send(checkInPath, body, client.keys[role])).toMatchObject({
          status: 200,
          body: { stored: [event.id] },
        });
      }
    }
    const headers = { authorization: `Bearer ${bench.token}` };
    for (const path of ['/api/appliances', '/api/appliances/alpha', '/api/events', '/', '/fragment']) {
      expect([path, (await fetch(`${bench.url}${path}`, { headers })).status]).toEqual([path, 200]);
    }
  });

  it('is bounded where it cannot be read: too deep to be written down, or cut at bytes and not at characters', async () => {
    const { bench, client, eventsOf } = await withAlpha();
    await using _ = bench;
    const deep = { ...client.event('agent', { kind: 'note' }), record: JSON.parse(nested(1_500)) };
    const long = { ...client.event('agent', { kind: 'note' }), text: 'ж'.repeat(2_500) };
    expect((await client.checkIn('agent', { events: [deep] })).stored).toEqual([deep.id]);
    expect((await client.checkIn('agent', { events: [long] })).stored).toEqual([long.id]);
    const [second, first] = await eventsOf('kind=unreadable');
    expect(first?.body).toBe('');
    expect(Buffer.byteLength(z.string().parse(second?.body))).toBeLessThanOrEqual(4_000);
  });
});

describe('a fact from the wrong program', () => {
  it.each([
    'agent-recovered',
    'agent-crashed',
    'release-committed',
    'release-rolled-back',
    'release-refused',
    'safe-mode',
  ])('(%s by the agent) is its note, changes nothing, and is told', async (kind) => {
    const { bench, client, manifest, eventsOf } = await withAlpha();
    await using _ = bench;
    const rollout = await bench.rollOut('1.0.52');
    await client.checkIn('updater', { events: [client.event('updater', { kind: 'agent-crashed', crash })] });
    const before = await bench.show('alpha');
    const events = [client.event('agent', { kind, text: 'forged', release: release(manifest), crash })];
    expect((await client.checkIn('agent', { events })).stored).toHaveLength(1);
    const after = await bench.show('alpha');
    expect([after.failedTrial, after.lastCrash, after.alert, after.sentence]).toEqual([
      before.failedTrial,
      before.lastCrash,
      before.alert,
      before.sentence,
    ]);
    expect((await bench.rollout(rollout.id)).state).toBe('running');
    expect(await eventsOf('kind=note')).toMatchObject([{ role: 'agent', text: `${kind}: forged` }]);
    expect(await eventsOf('kind=agent-fact-refused')).toMatchObject([{ role: 'server' }]);
  });

  it('does not hide what the updater told', async () => {
    const { bench, client, manifest } = await withAlpha();
    await using _ = bench;
    const told = client.event('updater', { kind: 'release-rolled-back', text: 'real', release: release(manifest) });
    await client.checkIn('updater', { events: [told] });
    await client.checkIn('agent', { events: [client.event('agent', { kind: 'release-committed' })] });
    expect((await bench.show('alpha')).failedTrial).toMatchObject({ text: 'real', version: '1.0.52' });
  });

  it('(the end of an order by the updater) moves no order', async () => {
    const { bench, client, eventsOf } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    const order = { id, state: 'succeeded' } as const;
    await client.checkIn('updater', { events: [client.event('updater', { kind: 'order', order })] });
    await client.checkIn('updater', { events: [client.event('updater', { kind: 'note', order })] });
    expect((await bench.order(id)).state).toBe('sent');
    expect(await eventsOf('kind=updater-fact-refused')).toHaveLength(1);
  });

  it('of a kind of the future, or of the server itself, is a note', async () => {
    const { bench, client, eventsOf } = await withAlpha();
    await using _ = bench;
    const kinds = ['agent-sang', 'clone', 'unreadable', 'retired'];
    await client.checkIn('agent', { events: kinds.map((kind) => client.event('agent', { kind, text: 'x' })) });
    expect((await eventsOf('kind=note')).map(({ text }) => text).reverse()).toEqual(kinds.map((kind) => `${kind}: x`));
    for (const kind of kinds) expect(await eventsOf(`kind=${kind}`)).toEqual([]);
    expect(await eventsOf('kind=agent-fact-refused')).toEqual([]);
  });
});
