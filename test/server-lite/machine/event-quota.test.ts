import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkInBytesMax } from '../../../protocol/check-in.ts';
import type { EventInput } from '../../../protocol/event.ts';
import { eventQuotaOf } from '../../../server-lite/machine/event-quota.ts';
import { keepLimits, keepOf } from '../../../server-lite/store/keep.ts';
import { openServerDatabase } from '../../support/server-database.ts';
import { TestServer } from '../../support/test-server.ts';

const listShape = z.object({ events: z.array(z.object({ role: z.string(), kind: z.string(), text: z.string() })) });
const sumShape = z.object({ events: z.number(), bytes: z.number() });
const dayMs = 86_400_000;

async function withAlpha() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  const client = await bench.appliance('alpha');
  const noted = async (kind: string) =>
    listShape.parse((await bench.api('GET', `/api/events?appliance=alpha&kind=${kind}`)).body).events;
  /** Sends until it is answered something else than 200. @returns that, and how many events were sent */
  const flood = async (role: 'agent' | 'updater', rounds: number, events: () => EventInput[]) => {
    let sent = 0;
    for (let i = 0; i < rounds; i += 1) {
      const some = events();
      const { status } = await client.tryCheckIn(role, { events: some });
      if (status !== 200) return { status, sent };
      sent += some.length;
    }
    return { status: 200, sent };
  };
  const stored = (role: string, kind: string) => {
    using database = openServerDatabase(bench.data);
    const bytes = 'sum(length(CAST(body AS BLOB)) + length(CAST(text AS BLOB)))';
    const sql = `SELECT count(*) AS events, coalesce(${bytes}, 0) AS bytes FROM events WHERE role = ? AND kind = ?`;
    return sumShape.parse(database.db.prepare(sql).get(role, kind));
  };
  return { bench, client, noted, flood, stored };
}

describe('the quota of new events', () => {
  it.each([
    ['record', 300],
    ['record', checkInBytesMax],
    ['note', 180],
    ['note', checkInBytesMax],
    ['order', 250],
    ['order', checkInBytesMax],
  ])('lets an agent bring in a day less than is kept: %s of %d bytes', (kind, bytes) => {
    let ms = 0;
    const quota = eventQuotaOf(() => ms);
    const limit = keepLimits[keepOf('agent', kind)];
    let count = 0;
    for (; ms <= dayMs; ms += 600_000) {
      while (quota.take({ appliance: 'hf-1', role: 'agent', kind, bytes })) count += 1;
    }
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(limit.events * 0.8);
    expect(count * bytes).toBeLessThan(limit.bytes * 0.8);
    expect(quota.waitS({ appliance: 'hf-1', role: 'agent', kind })).toBeLessThanOrEqual(60);
  });

  it('never holds up a reading a second, nor what happened to a release for what else was sent', () => {
    let ms = 0;
    const quota = eventQuotaOf(() => ms);
    let refused = 0;
    for (; ms < 3 * dayMs; ms += 1_000) {
      if (!quota.take({ appliance: 'hf-1', role: 'agent', kind: 'record', bytes: 330 })) refused += 1;
    }
    expect(refused).toBe(0);
    const updater = { appliance: 'hf-1', role: 'updater', bytes: checkInBytesMax } as const;
    while (quota.take({ ...updater, kind: 'note' }));
    expect(quota.take({ ...updater, kind: 'release-rolled-back' })).toBe(true);
  });

  it('counts bytes: few large events of an agent use it up, too', async () => {
    const { bench, client, flood, stored } = await withAlpha();
    await using _ = bench;
    const large = () =>
      Array.from({ length: 7 }, () => client.event('agent', { kind: 'note', text: 'z'.repeat(2_000) }));
    expect((await flood('agent', 400, large)).status).toBe(429);
    expect(stored('agent', 'note').bytes).toBeLessThan(keepLimits.note.bytes / 2);
    const record = client.event('agent', { kind: 'record', record: { name: 'one', sha256: 'a'.repeat(64) } });
    expect((await client.checkIn('agent', { events: [record] })).stored).toEqual([record.id]);
  });

  it('counts what comes under an id that is known, and acknowledges what is stored all the same', async () => {
    const { bench, client, flood, stored } = await withAlpha();
    await using _ = bench;
    const first = client.event('updater', { kind: 'safe-mode', text: 'first' });
    await client.checkIn('updater', { events: [first] });
    const others = () =>
      Array.from({ length: 24 }, () => {
        const { n } = client.event('updater', { kind: 'note' });
        return { ...first, n, text: `other ${n}` };
      });
    const { status, sent } = await flood('updater', 60, others);
    expect(status).toBe(429);
    expect(stored('updater', 'safe-mode').events).toBeLessThanOrEqual(sent + 1);
    const before = stored('updater', 'safe-mode').events;
    expect((await client.checkIn('updater', { events: [first] })).stored).toEqual([first.id]);
    // Told of neither where one of two under its id has to come again.
    const both = await client.tryCheckIn('updater', { events: [first, ...others().slice(0, 23)] });
    expect([both.status, z.object({ stored: z.array(z.string()) }).parse(both.body).stored]).toEqual([200, []]);
    expect(stored('updater', 'safe-mode').events - before).toBeLessThan(23);
  });
});

describe('a report of an order that is none of this appliance', () => {
  it('is a note of its agent, and one remark of the server, however many come', async () => {
    const { bench, client, noted } = await withAlpha();
    await using _ = bench;
    const beta = await bench.appliance('beta');
    await beta.checkIn('agent');
    const { id } = await bench.sendOrder('beta', 'identify');
    const events = [id, ...Array.from({ length: 20 }, () => crypto.randomUUID())].map((one) =>
      client.event('agent', { kind: 'order', text: 'done', order: { id: one, state: 'succeeded' } }),
    );
    expect((await client.checkIn('agent', { events })).stored).toHaveLength(21);
    expect((await bench.order(id)).state).toBe('queued');
    expect([await noted('order'), await noted('fault')]).toEqual([[], []]);
    expect((await noted('note')).at(-1)).toMatchObject({
      role: 'agent',
      text: `order ${id}, which it never had: done`,
    });
    expect(await noted('note')).toHaveLength(21);
    expect(await noted('agent-order-unknown')).toEqual([
      { role: 'server', kind: 'agent-order-unknown', text: expect.stringContaining(id) },
    ]);
  });

  it('leaves one fault, too, where one of its own orders, or what cannot be read, is reported again and again', async () => {
    const { bench, client, noted } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    for (const state of ['succeeded', ...Array.from({ length: 5 }, () => 'failed')] as const) {
      await client.checkIn('agent', { events: [client.event('agent', { kind: 'order', order: { id, state } })] });
    }
    expect((await noted('fault')).map(({ text }) => text)).toEqual([expect.stringContaining(id)]);
    for (let i = 0; i < 3; i += 1) {
      await client.checkIn('agent', { events: [{ ...client.event('agent', { kind: 'note' }), record: { name: 7 } }] });
    }
    expect(await noted('fault')).toHaveLength(2);
    expect(await noted('unreadable')).toHaveLength(3);
  });
});
