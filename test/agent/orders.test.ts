import { randomUUID } from 'node:crypto';
import { rmSync, statSync, utimesSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../protocol/digest.ts';
import { harmlessOrderKinds, type OrderInput, operatorOrderKinds } from '../../protocol/order.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { TestAppliance, until } from './agent-process.ts';

let appliance: TestAppliance;

beforeEach(async () => {
  appliance = new TestAppliance();
  await appliance.startServer();
});

afterEach(async () => {
  const { problems } = appliance.server;
  await appliance.end();
  expect(problems).toEqual([]);
});

function orderOf(kind: string, more: Partial<OrderInput> = {}): OrderInput {
  return { version: 1, id: randomUUID(), appliance: appliance.id, kind, expiresAtS: 1_800_000_000, ...more };
}

async function endOf(id: string) {
  return until(`the end of order ${id}`, () => {
    const last = appliance.server.orderEnd(id);
    return ['acknowledged', 'running'].includes(String(last?.state)) ? null : last;
  });
}

describe('an order', () => {
  it('of each harmless kind is acknowledged, runs and succeeds with a result', async () => {
    const args = { query: 'readings', upTo: '1', duty: 'readings', level: 'info' };
    const kinds = harmlessOrderKinds.filter((kind) => kind !== 'run-order');
    const orders = kinds.map((kind) => orderOf(kind, { args }));
    for (const order of orders) appliance.server.order(order);
    appliance.run();
    for (const order of orders) {
      const end = await endOf(order.id);
      expect([order.kind, end.state]).toEqual([order.kind, 'succeeded']);
      expect(JSON.parse(end.result ?? '')).toBeTypeOf('object');
      expect(appliance.server.orderStates(order.id)).toEqual(['acknowledged', 'running', 'succeeded']);
    }
  });

  it("of each operator's kind is refused: the server may not sign it", async () => {
    const orders = operatorOrderKinds.map((kind) => orderOf(kind));
    for (const order of orders) appliance.server.order(order);
    appliance.run();
    for (const order of orders) {
      const error = expect.stringContaining("operator's key");
      expect(await endOf(order.id)).toMatchObject({ state: 'refused', error });
    }
  });

  it('run-duty runs one, says what went wrong, and names those that there are', async () => {
    const orders = [{ duty: 'readings' }, { duty: 'meter' }, {}].map((args) => orderOf('run-duty', { args }));
    for (const order of orders) appliance.server.order(order);
    appliance.run();
    const ends = [];
    for (const { id } of orders) ends.push(await endOf(id));
    expect(ends).toMatchObject([
      { state: 'succeeded', result: '{"duty":"readings","result":null}' },
      { state: 'failed', error: 'there is no duty meter; there are: readings' },
      { state: 'failed', error: 'a run-duty needs duty=NAME' },
    ]);
  });

  it('log-level sets what is written from now on', async () => {
    const run = appliance.run();
    const quiet = orderOf('log-level', { args: { level: 'warn' } });
    appliance.server.order(quiet);
    expect(await endOf(quiet.id)).toMatchObject({ state: 'succeeded', result: '{"level":"warn"}' });
    const silent = orderOf('identify');
    appliance.server.order(silent);
    await endOf(silent.id);
    const wrong = orderOf('log-level', { args: { level: 'loud' } });
    appliance.server.order(wrong);
    expect(await endOf(wrong.id)).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('info, warn, error'),
    });
    await until('its line', () => run.stdout.includes('"kind":"log-level","state":"failed"'));
    expect(run.stdout).not.toContain('"kind":"identify"');
  });

  it('run-order without a release of a maker says that there is none', async () => {
    const orders = [{ order: 'open-valve' }, {}].map((args) => orderOf('run-order', { args }));
    for (const order of orders) appliance.server.order(order);
    appliance.run();
    const ends = [];
    for (const { id } of orders) ends.push(await endOf(id));
    expect(ends).toMatchObject([
      { state: 'failed', error: 'there is no order open-valve' },
      { state: 'failed', error: 'a run-order needs order=NAME' },
    ]);
  });

  it('S62: of a kind that this version does not know is answered as unsupported', async () => {
    const order = orderOf('make-coffee');
    appliance.server.order(order);
    appliance.run();
    expect(await endOf(order.id)).toMatchObject({
      state: 'unsupported',
      error: expect.stringContaining('make-coffee'),
    });
  });

  it('is refused when it is for another appliance, or expired by the time that the server signed', async () => {
    const foreign = orderOf('identify', { appliance: `hf-${'0'.repeat(20)}` });
    const expired = orderOf('identify', { expiresAtS: 1_600_000_000 });
    appliance.server.order(foreign);
    appliance.server.order(expired);
    appliance.run();
    expect(await endOf(foreign.id)).toMatchObject({ state: 'refused' });
    expect(await endOf(expired.id)).toMatchObject({ state: 'refused', error: expect.stringContaining('expired') });
  });

  it('S34, S35: with a foreign signature burns no id and stops no other order', async () => {
    const forged = orderOf('identify');
    const sound = orderOf('identify');
    appliance.server.order(forged, generateKeyPair());
    appliance.server.order(sound);
    appliance.run();
    await endOf(sound.id);
    expect(appliance.server.orderStates(forged.id)).toEqual([]);
    appliance.server.order(forged);
    expect(await endOf(forged.id)).toMatchObject({ state: 'succeeded' });
  });

  it('asks by health not to be stopped while it runs', async () => {
    appliance.server.healthStalls = true;
    const order = orderOf('network-test');
    appliance.server.order(order);
    const run = appliance.run();
    await until('the order to run', () => appliance.server.healthRequests === 1);
    expect((await appliance.healthy()).inhibit).toBe('the order network-test runs');
    // Stopped all the same, it does not wait for the order.
    run.kill('SIGTERM');
    expect(await run.exit()).toMatchObject({ code: 0 });
    appliance.server.healthStalls = false;
  });

  it('S22: that a SIGKILL interrupts is reported failed after the restart, and never runs a second time', async () => {
    appliance.server.healthStalls = true;
    const interrupted = orderOf('network-test');
    const waiting = orderOf('update_iso');
    appliance.server.order(interrupted);
    appliance.server.order(waiting);
    utimesSync(appliance.layout.hint, 1, 1);
    const run = appliance.run();
    await until('the order to run', () => appliance.server.healthRequests === 1);
    run.kill('SIGKILL');
    await run.exit();
    appliance.server.healthStalls = false;

    appliance.run();
    const text = expect.stringContaining('not run a second time');
    expect(await endOf(interrupted.id)).toMatchObject({ state: 'failed', error: text });
    expect(await endOf(waiting.id)).toMatchObject({ state: 'failed', error: text });
    const requests = appliance.server.requests.length;
    await until('more check-ins', () => appliance.server.requests.length > requests + 2);
    expect(appliance.server.healthRequests).toBe(1);
    expect(statSync(appliance.layout.hint).mtimeMs).toBe(1_000);
  });

  it('that a crash interrupts keeps no agent from its duty while the disk refuses to note it', async () => {
    appliance.server.healthStalls = true;
    const interrupted = orderOf('network-test');
    appliance.server.order(interrupted);
    const run = appliance.run();
    await until('the order to run', () => appliance.server.healthRequests === 1);
    run.kill('SIGKILL');
    await run.exit();
    appliance.server.healthStalls = false;
    const holder = new Sqlite(appliance.layout.outboxDb);
    try {
      holder.exec('BEGIN IMMEDIATE');
      appliance.run();
      const health = await appliance.healthy();
      expect(health.checks).toMatchObject({ state: 'ok', outbox: 'fail' });
    } finally {
      holder.close();
    }
    await until('its duty', async () => (await appliance.health())?.checks.outbox === 'ok');
    expect(appliance.server.healthRequests).toBe(1);
  });

  it('that is delivered again and again runs once', async () => {
    const order = orderOf('network-test');
    appliance.server.order(order);
    appliance.run();
    await endOf(order.id);
    appliance.server.order({ ...order, kind: 'identify' });
    const requests = appliance.server.requests.length;
    appliance.server.events.forEach((event, n) => {
      if (event.order !== undefined) appliance.server.events.set(n, { ...event, order: undefined });
    });
    await until('deliveries', () => appliance.server.requests.length > requests + 3);
    expect(appliance.server.deliveries.get(order.id)).toBeGreaterThan(2);
    expect(appliance.server.healthRequests).toBe(1);
    expect(appliance.server.orderStates(order.id)).toEqual([]);
  });

  it('update_iso asks the updater to look, by the time of the hint', async () => {
    const order = orderOf('update_iso');
    utimesSync(appliance.layout.hint, 1, 1);
    appliance.server.order(order);
    appliance.run();
    await endOf(order.id);
    expect(statSync(appliance.layout.hint).mtimeMs).toBeGreaterThan(1_000);
  });

  it('S56: update_iso fails when the updater could not be asked', async () => {
    const order = orderOf('update_iso');
    rmSync(appliance.layout.hint);
    appliance.server.order(order);
    appliance.run();
    expect(await endOf(order.id)).toMatchObject({ state: 'failed', error: expect.stringContaining('ENOENT') });
  });

  it('diagnostic digests the rows of state.db up to a number, in order', async () => {
    appliance.run();
    await until('records', () => appliance.server.records().length >= 4);
    const order = orderOf('diagnostic', { args: { query: 'readings', upTo: '3' } });
    appliance.server.order(order);
    const end = await endOf(order.id);
    const lines = appliance.server
      .records()
      .slice(0, 3)
      .map(({ name, sha256: digest }) => `${name} ${digest}\n`);
    expect(JSON.parse(end.result ?? '')).toEqual({ count: 3, sha256: sha256(lines.join('')), first: 1 });

    const unclear = orderOf('diagnostic', { args: { query: 'everything' } });
    appliance.server.order(unclear);
    expect(await endOf(unclear.id)).toMatchObject({ state: 'failed' });
  });
});

describe('the ledger', () => {
  it('is noted before the order runs', async () => {
    appliance.server.healthStalls = true;
    const order = orderOf('network-test');
    appliance.server.order(order);
    appliance.run();
    await until('the order to run', () => appliance.server.healthRequests === 1);
    const outbox = new Sqlite(appliance.layout.outboxDb, { readonly: true });
    expect(outbox.prepare('SELECT kind, state FROM orders WHERE id = ?').get(order.id)).toEqual({
      kind: 'network-test',
      state: 'running',
    });
    outbox.close();
  });
});
