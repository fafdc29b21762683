import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { orderSentence, stepOrder } from '../../server-lite/rules/order-life.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function withAlpha() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return { bench, client: await bench.appliance('alpha') };
}

function report(client: ApplianceClient, id: string, state: string, more: object = {}) {
  return client.checkIn('agent', { events: [client.event('agent', { kind: 'order', order: { id, state, ...more } })] });
}

function crash(client: ApplianceClient, count: number, output: string) {
  const events = [
    client.event('updater', {
      kind: 'agent-crashed',
      text: 'the agent ended with exit status 1',
      crash: { count, exit: { code: 1, signal: null }, version: '1.0.49', output },
    }),
  ];
  return client.checkIn('updater', { events });
}

describe('the arguments of an order', () => {
  it.each([
    ['diagnostic', {}, 'a diagnostic needs query=readings and upTo=NUMBER'],
    ['diagnostic', { query: 'readings', upTo: 'all' }, 'a diagnostic needs query=readings and upTo=NUMBER'],
    ['identify', { loudly: 'yes' }, 'identify takes no arguments, and loudly was given'],
  ])('refuses %s with %j: %s', async (kind, args, message) => {
    const { bench } = await withAlpha();
    await using _ = bench;
    const refused = await bench.api('POST', '/api/orders', { appliance: 'alpha', kind, args });
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({ code: 'order-arguments-wrong', message, next: expect.stringContaining(kind) });
    expect((await bench.api('GET', '/api/orders')).body).toEqual({ orders: [] });
  });
});

describe('the life of an order', () => {
  it('is sent until the agent takes it, and ends with what the agent reports', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'diagnostic', { args: { query: 'readings', upTo: '3' } });
    expect((await bench.order(id)).state).toBe('queued');
    for (let i = 0; i < 2; i += 1) expect(client.orderIds(await client.checkIn('agent'))).toEqual([id]);
    expect(await bench.order(id)).toMatchObject({ state: 'sent', deliveries: 2 });
    expect((await report(client, id, 'acknowledged')).orders).toEqual([]);
    await report(client, id, 'running');
    expect((await bench.order(id)).state).toBe('running');
    await report(client, id, 'succeeded', { result: '{"count":3}' });
    expect(await bench.order(id)).toMatchObject({ state: 'succeeded', result: '{"count":3}', sentence: 'succeeded' });
  });

  it('signs it with the answer key: appliance, id, kind, arguments and expiry', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'diagnostic', { args: { query: 'readings', upTo: '3' } });
    const [envelope] = (await client.checkIn('agent')).orders;
    if (envelope === undefined) throw new Error('no order');
    expect(client.openOrder(envelope)).toMatchObject({
      id,
      appliance: client.id,
      kind: 'diagnostic',
      args: { query: 'readings', upTo: '3' },
      expiresAtS: expect.any(Number),
    });
  });

  it('counts the crashes of the agent after it was sent, with the text, once each', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    await crash(client, 7, 'an older trouble');
    const { id } = await bench.sendOrder('alpha', 'update_iso');
    await client.checkIn('agent');
    const text = "'ApplianceConfig' object has no attribute 'mcp_api_key_file'";
    const event = client.event('updater', {
      kind: 'agent-crashed',
      crash: { count: 1, exit: { code: 1, signal: null }, version: '1.0.49', output: text },
    });
    for (let i = 0; i < 3; i += 1) await client.checkIn('updater', { events: [event] });
    await crash(client, 3, text);
    expect(await bench.order(id)).toMatchObject({
      sentence: 'sent; the agent has crashed 4 times since',
      crashText: text,
    });
  });

  it('S4: refuses a state that is none, loudly, and leaves the order where it was', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    await report(client, id, 'completed');
    const order = await bench.order(id);
    expect([order.state, order.fault]).toEqual([
      'sent',
      'the appliance reported the state "completed", which does not exist',
    ]);
    const { body } = await bench.api('GET', '/api/events?kind=fault');
    expect(JSON.stringify(body)).toContain('completed');
  });

  it('S4: a success that carries an error is a failure', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    await report(client, id, 'succeeded', { error: 'no lamp' });
    expect(await bench.order(id)).toMatchObject({ state: 'failed', sentence: 'failed: no lamp' });
  });

  it('never leaves a terminal state, and says when somebody tries', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    await report(client, id, 'failed', { error: 'no lamp' });
    await report(client, id, 'running');
    await report(client, id, 'succeeded');
    expect(await bench.order(id)).toMatchObject({
      state: 'failed',
      fault: 'the appliance reported succeeded after the order was failed',
    });
  });

  it("does not let one appliance report another one's order", async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const beta = await bench.appliance('beta');
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    await report(beta, id, 'succeeded');
    expect((await bench.order(id)).state).toBe('sent');
  });

  it('S21: expires as an event that somebody sees, and is not sent any more', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify', { validForS: 60 });
    bench.clock.aheadMs += 61_000;
    expect((await client.checkIn('agent')).orders).toEqual([]);
    expect(await bench.order(id)).toMatchObject({ state: 'expired', sentence: 'expired: it was never fetched' });
    const { body } = await bench.api('GET', '/api/events?appliance=alpha&kind=order-expired');
    expect(JSON.stringify(body)).toContain(`order identify ${id} expired`);
  });

  it('S62: shows that an appliance does not know the kind', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'collect-logs');
    await client.checkIn('agent');
    await report(client, id, 'unsupported', { error: 'this agent does not know collect-logs' });
    expect((await bench.order(id)).sentence).toBe('unsupported: this agent does not know collect-logs');
  });

  it('survives a restart of the server, crashes counted', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const { id } = await bench.sendOrder('alpha', 'identify');
    await client.checkIn('agent');
    await crash(client, 2, 'boom');
    await bench.stop();
    await bench.run();
    expect(await bench.order(id)).toMatchObject({ state: 'sent', crashes: 2 });
  });
});

describe('sending an order', () => {
  it('S8: finds the appliance by its id in any form that people type', async () => {
    const { bench, client } = await withAlpha();
    await using _ = bench;
    const hex = client.id.slice(3);
    const typed = [
      client.id.toUpperCase(),
      hex,
      hex.match(/../g)?.join(':') ?? '',
      ` HF-${hex.match(/.{5}/g)?.join('-')} `,
      'ALPHA',
    ];
    for (const appliance of typed) expect((await bench.sendOrder(appliance, 'identify')).appliance).toBe(client.id);
    expect(client.orderIds(await client.checkIn('agent'))).toHaveLength(typed.length);
  });

  it('refuses kinds that need an operator key, kinds that are none, and appliances that are not there', async () => {
    const { bench } = await withAlpha();
    await using _ = bench;
    const tried = async (appliance: string, kind: string) => {
      const answer = await bench.api('POST', '/api/orders', { appliance, kind });
      return [answer.status, code(answer.body)];
    };
    expect(await tried('alpha', 'reboot')).toEqual([403, 'order-kind-needs-operator-key']);
    expect(await tried('alpha', 'dance')).toEqual([422, 'order-kind-unknown']);
    const near = await bench.api('POST', '/api/orders', { appliance: 'alpha', kind: 'run-cheks' });
    expect(near.body).toMatchObject({ message: 'there is no order run-cheks (did you mean run-checks?)' });
    expect(await tried('nobody', 'identify')).toEqual([404, 'appliance-unknown']);
  });

  it('bounds the orders that are open for one appliance', async () => {
    const { bench } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 32; i += 1) await bench.sendOrder('alpha', 'identify');
    expect(code((await bench.api('POST', '/api/orders', { appliance: 'alpha', kind: 'identify' })).body)).toBe(
      'orders-full',
    );
  });
});

describe('the table of order states', () => {
  it.each([
    ['queued', 'acknowledged', 'acknowledged'],
    ['sent', 'succeeded', 'succeeded'],
    ['running', 'acknowledged', null],
    ['acknowledged', 'unsupported', 'unsupported'],
    ['succeeded', 'succeeded', null],
    ['failed', 'running', null],
  ] as const)('%s, then reported %s, becomes %s', (current, state, becomes) => {
    const step = stepOrder(current, { state });
    expect(step).toEqual(becomes === null ? { outcome: 'same' } : { outcome: 'moved', state: becomes });
  });

  it('says one crash and several in words', () => {
    const order = { state: 'sent', error: null, fault: null } as const;
    expect(orderSentence({ ...order, crashes: 1 })).toBe('sent; the agent has crashed 1 time since');
    expect(orderSentence({ ...order, crashes: 0 })).toBe('sent');
    expect(orderSentence({ ...order, state: 'succeeded', crashes: 8 })).toBe(
      'succeeded; before that, the agent crashed 8 times',
    );
  });
});
