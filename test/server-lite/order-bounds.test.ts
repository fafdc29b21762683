import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';

const problemOf = (body: unknown) => z.object({ code: z.string(), message: z.string(), next: z.string() }).parse(body);
/** Beside what a diagnostic needs. */
const three = (letter: string, count: number) => ({
  a: letter.repeat(count),
  b: letter.repeat(count),
  c: letter.repeat(count),
  query: 'readings',
  upTo: '3',
});

async function withAlpha() {
  const bench = await TestServer.start([], { openToThisHost: true });
  await bench.publish('1.0.49');
  const client = await bench.appliance('alpha');
  const send = (args: Record<string, string>) => {
    return bench.api('POST', '/api/orders', { appliance: 'alpha', kind: 'diagnostic', args });
  };
  const cancel = (id: string) => bench.api('POST', `/api/orders/${id}/cancel`);
  const report = (id: string, state: string, more: object = {}) =>
    client.checkIn('agent', { events: [client.event('agent', { kind: 'order', order: { id, state, ...more } })] });
  return { bench, client, send, cancel, report };
}

describe('the size of an order', () => {
  it.each([
    ['Cyrillic letters', 'ж', 1_000],
    ['emoji', '😀', 500],
    ['control characters', '\u0001', 400],
  ])('is judged in the bytes in which it is sent: three arguments of %s', async (_, letter, count) => {
    const { bench, client, send } = await withAlpha();
    await using _bench = bench;
    const { status, body } = await send(three(letter, count));
    expect([status, problemOf(body).code]).toEqual([413, 'order-too-large']);
    expect(problemOf(body).message).toMatch(/may have 6000 bytes as it is sent, and this one has \d+$/);
    const fits = await send(three(letter, Math.floor(count * 0.7)));
    expect(fits.status).toBe(201);
    expect((await client.checkIn('agent')).orders).toHaveLength(1);
  });

  it('of all together never stops a check-in: what fits is sent, and the rest with the next one', async () => {
    const { bench, client, send } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 8; i += 1) expect((await send(three('ж', 900))).status).toBe(201);
    const first = client.orderIds(await client.checkIn('agent'));
    expect(first.length).toBeGreaterThan(1);
    expect(first.length).toBeLessThan(8);
    for (const id of first) {
      const order = { id, state: 'acknowledged' } as const;
      await client.checkIn('agent', { events: [client.event('agent', { kind: 'order', order })] });
    }
    expect(client.orderIds(await client.checkIn('agent')).length).toBeGreaterThan(0);
  });

  it('that an earlier version queued and that can never be sent ends that order, which is told, and sends the others', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const [large, small] = [
      await bench.sendOrder('alpha', 'diagnostic', { args: three('x', 1) }),
      await bench.sendOrder('alpha', 'identify'),
    ];
    await bench.stop();
    {
      using database = openServerDatabase(bench.data);
      database.db
        .prepare("UPDATE orders SET envelope = json_set(envelope, '$.payload', ?) WHERE id = ?")
        .run('QUJD'.repeat(2_100), large.id);
    }
    await bench.run();
    const again = await bench.reconnected(client);
    expect(again.orderIds(await again.checkIn('agent'))).toEqual([small.id]);
    expect(await bench.order(large.id)).toMatchObject({ state: 'failed', error: expect.stringMatching(/too large/) });
    expect(JSON.stringify((await bench.api('GET', '/api/events?kind=fault')).body)).toContain(large.id);
  });
});

describe('cancelling an order', () => {
  it('that was not sent ends it, for good and as an event', async () => {
    const { bench, client, cancel } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    for (let i = 0; i < 2; i += 1) {
      expect((await cancel(id.slice(0, 8))).body).toMatchObject({
        state: 'cancelled',
        sentence: 'cancelled: it was never sent',
      });
    }
    expect((await client.checkIn('agent')).orders).toEqual([]);
    const { body } = await bench.api('GET', '/api/events?kind=order-cancelled');
    expect(z.object({ events: z.array(z.unknown()) }).parse(body).events).toHaveLength(1);
    bench.clock.aheadMs += 40 * 86_400_000;
    expect((await bench.order(id)).state).toBe('cancelled');
  });

  it('that is beyond the wire says so, and notes what the appliance makes of it', async () => {
    const { bench, client, cancel, report } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    expect((await cancel(id)).body).toMatchObject({
      sentence: 'cancelled: it had been sent 1 time, so the appliance may have it, and then runs it all the same',
    });
    expect((await client.checkIn('agent')).orders).toEqual([]);
    await report(id, 'succeeded', { result: '{"lamp":"on"}' });
    expect(await bench.order(id)).toMatchObject({
      state: 'cancelled',
      fault: 'the appliance had it before: succeeded there',
      result: '{"lamp":"on"}',
    });
    expect(JSON.stringify((await bench.api('GET', '/api/events?kind=fault')).body)).not.toContain(id);
  });

  it('is refused once it was taken, or has ended, or never was', async () => {
    const { bench, client, cancel, report } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    await report(id, 'running');
    expect(problemOf((await cancel(id)).body)).toMatchObject({ code: 'order-begun' });
    await report(id, 'failed', { error: 'no lamp' });
    expect(problemOf((await cancel(id)).body)).toMatchObject({ code: 'order-ended' });
    expect((await cancel('00000000-0000-4000-8000-000000000000')).status).toBe(404);
    expect((await bench.order(id)).state).toBe('failed');
  });

  it('is offered on the dashboard to who may change something, for what can be taken back', async () => {
    const { bench, client, report } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    const login = await fetch(`${bench.url}/login`, {
      method: 'POST',
      body: new URLSearchParams({ token: bench.token }),
      redirect: 'manual',
    });
    const headers = { cookie: login.headers.get('set-cookie')?.split(';')[0] ?? '' };
    const fragment = async () => (await fetch(`${bench.url}/fragment`, { headers })).text();
    expect(await fragment()).toContain(`api/orders/${id}/cancel`);
    expect(await (await fetch(`${bench.url}/fragment`)).text()).not.toContain('/cancel');
    await client.checkIn('agent');
    await report(id, 'running');
    expect(await fragment()).not.toContain('/cancel');
  });
});
