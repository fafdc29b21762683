import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { EventInput } from '../../../protocol/event.ts';
import type { ApplianceClient, Role } from '../../support/appliance-client.ts';
import { openServerDatabase } from '../../support/server-database.ts';
import { TestServer } from '../../support/test-server.ts';

const eventsShape = z.object({ events: z.array(z.object({ kind: z.string(), text: z.string(), role: z.string() })) });

async function withServer(): Promise<TestServer> {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return bench;
}

/** What the server noted of an appliance, the oldest first. */
async function noted(bench: TestServer, kind: string): Promise<string[]> {
  const { body } = await bench.api('GET', `/api/events?appliance=alpha&kind=${kind}`);
  return eventsShape
    .parse(body)
    .events.map(({ text }) => text)
    .reverse();
}

function notes(client: ApplianceClient, role: Role, count: number): EventInput[] {
  return Array.from({ length: count }, (_, i) => client.event(role, { kind: 'note', text: `note ${i}` }));
}

const ids = (events: readonly EventInput[]): string[] => events.map(({ id }) => id);

describe('a server whose database was put back', () => {
  it('takes what comes, says what it misses, is offered it again, and says that it arrived', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await client.checkIn('agent', { events: notes(client, 'agent', 3) });
    await bench.stop();
    const backup = await bench.copyDatabase();
    await bench.run();
    const later = await bench.reconnected(client);
    const lost = notes(later, 'agent', 4);
    await later.checkIn('agent', { events: lost });
    await bench.stop();
    await bench.putDatabaseBack(backup);
    await bench.run();
    const again = await bench.reconnected(later);
    const next = notes(again, 'agent', 1);
    const answer = await again.checkIn('agent', { events: next });
    expect([answer.stored, answer.offerFrom, answer.ackUpto]).toEqual([ids(next), 4, 3]);
    expect(await noted(bench, 'agent-events-missing')).toEqual([
      'events 4-7 of its agent are missing here: this server was restored from an older backup, or its outbox was; asked for again',
    ]);
    const offered = await again.checkIn('agent', { events: [...lost, ...next] });
    expect([offered.stored, offered.offerFrom, offered.ackUpto]).toEqual([ids([...lost, ...next]), undefined, 8]);
    expect(await noted(bench, 'agent-events-arrived')).toEqual(['events 4-7 of its agent arrived after all']);
  });

  it('says which part arrived when the rest is gone', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const [first, , third, last] = notes(client, 'updater', 4);
    await client.checkIn('updater', { events: [last] });
    await client.checkIn('updater', { events: [third, first] });
    await client.checkIn('updater', { events: notes(client, 'updater', 1) });
    expect(await noted(bench, 'updater-events-arrived')).toEqual([
      'events 1-3 of its updater arrived after all, but for event 2, which it does not have any more',
    ]);
  });
});

describe('an appliance that forgot its outbox', () => {
  it('is heard from its first event on, also where that is number 2, and a failed canary pauses its rollout', async () => {
    await using bench = await withServer();
    const manifest = await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    await client.checkIn('updater', { events: notes(client, 'updater', 12) });
    const rollout = await bench.rollOut('1.0.52');
    expect((await client.checkIn('updater')).desired?.release?.manifest).toBe(manifest);
    client.numbers.updater = 1;
    const release = {
      tx: 2,
      component: 'app',
      manifest,
      version: '1.0.52',
      from: '1.0.49',
      reason: 'stalled',
    } as const;
    const events = [client.event('updater', { kind: 'release-rolled-back', text: 'it stalled', release })];
    const answer = await client.checkIn('updater', { events });
    expect([answer.stored, answer.ackUpto]).toEqual([ids(events), 2]);
    expect((await bench.rollout(rollout.id)).state).toBe('paused');
    expect(await noted(bench, 'updater-numbering-went-back')).toEqual([
      "its updater's numbering went back from 12 to 2: its outbox was lost or put back, or two devices use its key",
    ]);
  });

  it('is told without events how far it had come, by a bounded step, and is answered 204 while nothing changes', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await client.checkIn('agent', { events: notes(client, 'agent', 2) });
    const thief = { ...notes(client, 'agent', 1)[0], n: Number.MAX_SAFE_INTEGER };
    await client.checkIn('agent', { events: [thief] });
    client.numbers.agent = 2;
    for (let i = 0; i < 3; i += 1) {
      const events = notes(client, 'agent', 2);
      expect((await client.checkIn('agent', { events })).stored).toEqual(ids(events));
    }
    const { ackUpto, etag, stored } = await client.checkIn('agent');
    expect([ackUpto, stored]).toEqual([1_000_002, undefined]);
    expect((await client.tryCheckIn('agent', { etag })).status).toBe(204);
  });

  it('is not a flood of records when two devices with one key alternate', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    for (let i = 0; i < 6; i += 1) {
      client.numbers.agent = i % 2 === 0 ? 800 + 10 * i : 10 * i;
      const events = notes(client, 'agent', 2);
      expect((await client.checkIn('agent', { events })).stored).toEqual(ids(events));
    }
    const all = await Promise.all(['missing', 'arrived'].map((kind) => noted(bench, `agent-events-${kind}`)));
    expect([...all, await noted(bench, 'agent-numbering-went-back')].map(({ length }) => length <= 1)).toEqual([
      true,
      true,
      true,
    ]);
    bench.clock.aheadMs += 3_600_000;
    client.numbers.agent = 5_000;
    await client.checkIn('agent', { events: notes(client, 'agent', 1) });
    expect(await noted(bench, 'agent-events-missing')).toHaveLength(2);
  });
});

describe('another event under the id of one that is stored', () => {
  async function twice() {
    const bench = await withServer();
    const [first, second] = [await bench.publish('1.0.52'), await bench.publish('1.0.53')];
    const client = await bench.appliance('alpha');
    const rolledBack = (manifest: string, version: string, id?: string) => {
      const release = { tx: 2, component: 'app', manifest, version, from: '1.0.49', reason: 'stalled' } as const;
      return client.event('updater', {
        kind: 'release-rolled-back',
        release,
        n: 2,
        ...(id === undefined ? {} : { id }),
      });
    };
    const before = rolledBack(first, '1.0.52');
    await client.checkIn('updater', { events: [before] });
    return { bench, client, before, after: rolledBack(second, '1.0.53', before.id) };
  }

  it('is stored and acted on: an appliance whose disk was put back uses ids again', async () => {
    const { bench, client, before, after } = await twice();
    await using _ = bench;
    const rollout = await bench.rollOut('1.0.53');
    expect((await client.checkIn('updater')).desired?.release?.version).toBe('1.0.53');
    const answer = await client.checkIn('updater', { events: [after] });
    expect([answer.stored, answer.ackUpto]).toEqual([[before.id], 2]);
    expect((await bench.rollout(rollout.id)).state).toBe('paused');
    expect(await noted(bench, 'release-rolled-back')).toHaveLength(2);
    expect(await noted(bench, 'updater-event-changed')).toEqual([
      'event 2 of its updater came under the id of another one: its disk was put back, or two devices use its key; both are kept',
    ]);
  });

  it('is stored and acted on once, however often both come, and under whatever number', async () => {
    const { bench, client, before, after } = await twice();
    await using _ = bench;
    await client.checkIn('updater', { events: [after] });
    const rollout = await bench.rollOut('1.0.53');
    for (const events of [
      [after],
      [before],
      [{ ...before, n: 40 }],
      [Object.fromEntries(Object.entries(after).reverse())],
    ]) {
      expect((await client.checkIn('updater', { events })).stored).toEqual([before.id]);
    }
    expect((await bench.rollout(rollout.id)).state).toBe('running');
    expect(await noted(bench, 'release-rolled-back')).toHaveLength(2);
  });
});

describe('what cannot be read or stored', () => {
  it('is acknowledged by its id where that can be read, and does not hold up what follows', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const [good, bad] = [client.event('agent', { kind: 'note' }), client.event('agent', { kind: 'note' })];
    const odd = { ...bad, record: { name: 7 } };
    const { stored } = await client.checkIn('agent', { events: [odd, good] });
    expect(stored).toEqual([good.id, bad.id]);
    expect((await client.checkIn('agent', { events: [odd] })).stored).toEqual([bad.id]);
    expect(await noted(bench, 'unreadable')).toHaveLength(1);
  });

  it('is not acknowledged, by id or number, when the database does not take it', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const events = notes(client, 'agent', 3);
    using database = openServerDatabase(bench.data);
    database.db.exec(
      `CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.n = 2 BEGIN SELECT RAISE(ABORT, 'full'); END`,
    );
    const answer = await client.checkIn('agent', { events });
    expect([answer.stored, answer.ackUpto, answer.offerFrom]).toEqual([[ids(events)[0], ids(events)[2]], 1, 2]);
    database.db.exec('DROP TRIGGER full');
    expect((await client.checkIn('agent', { events })).stored).toEqual(ids(events));
  });

  it('of a number of crashes is bounded, however often it is said', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const order = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    const crash = { count: Number.MAX_SAFE_INTEGER, exit: { code: 1, signal: null }, version: '1.0.49', output: '' };
    for (let i = 0; i < 3; i += 1) {
      await client.checkIn('updater', { events: [client.event('updater', { kind: 'agent-crashed', crash })] });
    }
    expect(await noted(bench, 'fault')).toEqual([]);
    expect((await bench.order(order.id)).crashes).toBe(1_000_000);
  });
});

describe('what a check-in asks of the database', () => {
  it('is found by an index in every table that grows', async () => {
    await using bench = await withServer();
    using database = openServerDatabase(bench.data);
    const statements = [
      "SELECT body FROM events WHERE appliance = 'x' AND role = 'agent' AND id = 'y'",
      "SELECT received_at FROM events WHERE appliance = 'x' AND kind = 'y' AND role = 'server' ORDER BY serial DESC LIMIT 1",
      "SELECT upto, last_n, former_n FROM acknowledged WHERE appliance = 'x' AND role = 'agent'",
      "SELECT * FROM event_gaps WHERE appliance = 'x' AND role = 'agent' ORDER BY from_n",
      "DELETE FROM event_gaps WHERE appliance = 'x' AND role = 'agent'",
    ];
    for (const sql of statements) {
      const plan = z
        .array(z.object({ detail: z.string() }))
        .parse(database.db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all());
      expect(plan.map(({ detail }) => detail).join('; ')).toMatch(/^SEARCH \w+ USING (INDEX|PRIMARY KEY)[^;]*$/);
    }
  });
});
