import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { signRequest } from '../../protocol/trust/http-signature.ts';
import { WriteTurn } from '../../server-lite/store/write-turn.ts';
import { LockHolder } from '../support/lock-holder.ts';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

async function withAppliance(lockWaitMs: number) {
  const bench = await TestServer.start();
  await bench.publish('1.0.52');
  const client = await bench.appliance('alpha');
  await client.checkIn('agent');
  await bench.stop();
  bench.lockWaitMs = lockWaitMs;
  await bench.run();
  return { bench, client: await bench.reconnected(client), holder: await LockHolder.on(join(bench.data, 'server.db')) };
}

const identify = { appliance: 'alpha', kind: 'identify' };

describe('while another process holds the database', () => {
  it('whoever writes waits, and everybody else is answered; then what waited is done', async () => {
    const { bench, client, holder } = await withAppliance(patienceMs);
    await using _ = bench;
    await using __ = holder;
    const ended: string[] = [];
    const order = bench.api('POST', '/api/orders', identify).finally(() => ended.push('order'));
    const checkIn = client.checkIn('updater').finally(() => ended.push('check-in'));
    for (const path of ['/health', '/api/appliances', '/api/orders', '/', '/fragment', '/health']) {
      const { status } = await fetch(`${bench.url}${path}`, { headers: { authorization: `Bearer ${bench.token}` } });
      expect([path, status]).toEqual([path, 200]);
    }
    expect(ended).toEqual([]);
    await holder.letGo();
    expect(await order).toMatchObject({ status: 201 });
    expect(await checkIn).toMatchObject({ nextInS: expect.any(Number) });
  });

  it('who waited long enough is told when to come again, and nothing was done', async () => {
    const { bench, client, holder } = await withAppliance(0);
    await using _ = bench;
    await using __ = holder;
    const body = Buffer.from(JSON.stringify(client.request('agent')));
    const signed = signRequest({ method: 'POST', path: '/v1/checkin', body }, client.keys.agent.privateKey);
    const machine = { 'content-type': 'application/json', ...signed };
    const operator = { 'content-type': 'application/json', authorization: `Bearer ${bench.token}` };
    for (const [path, headers, text] of [
      ['/v1/checkin', machine, body],
      ['/api/orders', operator, JSON.stringify(identify)],
      ['/api/claims', operator, JSON.stringify({ name: 'beta', site: 'Hall 3' })],
    ] as const) {
      const answer = await fetch(`${bench.url}${path}`, { method: 'POST', headers, body: text });
      expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '5']);
      expect(await answer.json()).toMatchObject({ code: 'server-busy', next: expect.stringContaining('ask again') });
    }
    await holder.letGo();
    // Its counter was not taken: the very same request is taken now.
    const again = await fetch(`${bench.url}/v1/checkin`, { method: 'POST', headers: machine, body });
    expect(again.status).toBe(200);
    expect(await bench.api('GET', '/api/orders')).toMatchObject({ body: { orders: [] } });
  });

  it('orders that are over are shown all the same, and end afterwards', async () => {
    const { bench, holder } = await withAppliance(0);
    await using _ = bench;
    await using __ = holder;
    await holder.letGo();
    const { id } = await bench.sendOrder('alpha', 'identify', { validForS: 60 });
    await using ___ = await LockHolder.on(join(bench.data, 'server.db'));
    bench.clock.aheadMs += 3_600_000;
    expect(await bench.order(id)).toMatchObject({ state: 'queued' });
    await ___.letGo();
    await until('it ends', patienceMs, async () => ((await bench.order(id)).state === 'expired' ? true : null));
  });

  it('a start does without writing, and says so where it cannot', async () => {
    const { bench, holder } = await withAppliance(0);
    await using _ = bench;
    await using __ = holder;
    await bench.stop();
    await bench.run();
    expect((await fetch(`${bench.url}/health`)).status).toBe(200);
    await bench.stop();
    await holder.letGo();
    {
      using stored = openServerDatabase(bench.data);
      stored.db.exec("DELETE FROM settings WHERE name = 'epoch'");
    }
    await using again = await LockHolder.on(join(bench.data, 'server.db'));
    await expect(bench.run()).rejects.toMatchObject({ code: 'database-busy', next: expect.stringContaining('fuser') });
    await again.letGo();
    await bench.run();
  });
});

describe('the turn to write', () => {
  it('is waited for by so many at once and no more', async () => {
    const { bench, holder } = await withAppliance(0);
    await using _ = bench;
    await using __ = holder;
    const db = new Database(join(bench.data, 'server.db'), { timeout: 0 });
    onTestFinished(() => void db.close());
    const turn = new WriteTurn(db, patienceMs);
    let refused = 0;
    const waiting = Array.from({ length: 300 }, () => turn.take().catch(() => (refused += 1)));
    await until('the rest is refused', patienceMs, () => (refused === 44 ? true : null));
    await holder.letGo();
    await Promise.all(waiting);
    expect(refused).toBe(44);
  });
});
