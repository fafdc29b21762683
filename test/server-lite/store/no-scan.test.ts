import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { keepHouse } from '../../../server-lite/housekeeping.ts';
import { openDatabase } from '../../../server-lite/store/database.ts';
import { TestServer } from '../../support/test-server.ts';
import { boundedTables, collectStatements, scansOf } from './plans.ts';

/** Each route once, and what an appliance and time bring. */
async function tour(bench: TestServer): Promise<void> {
  const manifest = await bench.publish('1.0.49');
  await bench.publish('1.0.52');
  const client = await bench.appliance('alpha');
  const release = { tx: 1, component: 'app', manifest, version: '1.0.49', from: '1.0.48', reason: 'stalled' } as const;
  const crash = { count: 1, exit: { code: 1, signal: null }, version: '1.0.49', output: '' };
  const { id } = await bench.sendOrder('alpha', 'identify');
  const rollout = await bench.rollOut('1.0.52', ['alpha']);
  await client.checkIn('agent', {
    events: [
      client.event('agent', { kind: 'record', record: { name: 'one', sha256: manifest } }),
      client.event('agent', { kind: 'order', order: { id, state: 'running' } }),
      client.event('agent', { kind: 'release-committed', n: 9 }),
    ],
  });
  const kinds = ['agent-crashed', 'agent-recovered', 'release-rolled-back', 'release-committed', 'note'];
  for (const kind of kinds) {
    await client.checkIn('updater', { events: [client.event('updater', { kind, release, crash })] });
  }
  const values: Readonly<Record<string, string>> = { '/api/orders/': id, '/api/rollouts/': String(rollout.id) };
  for (const { method, path } of bench.running.routes) {
    const begin = Object.keys(values).find((each) => path.startsWith(each)) ?? '';
    const asked = path
      .replace(':id', values[begin] ?? 'alpha')
      .replace(':role', 'agent')
      .replace('*', 'metadata/timestamp.json');
    const body =
      method === 'POST'
        ? { version: '1.0.49', appliance: 'alpha', kind: 'identify', name: 'new', site: 'Hall 3' }
        : undefined;
    // A refusal is fine: what was looked up for it was looked up.
    const headers = {
      authorization: `Bearer ${bench.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    await fetch(`${bench.url}${asked}`, {
      method,
      headers,
      redirect: 'manual',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
  for (const query of ['?appliance=alpha', '?kind=note', '?appliance=alpha&kind=note'])
    await bench.api('GET', `/api/events${query}`);
  await bench.api('GET', '/api/orders?appliance=alpha');
  await bench.api('GET', `/api/orders/${id.slice(0, 8)}`);
  bench.clock.aheadMs += 40 * 86_400_000;
  await bench.api('GET', '/api/orders');
}

describe('every statement that the server prepares', () => {
  it('finds what it needs by an index in each table that grows', async () => {
    using collected = collectStatements();
    await using bench = await TestServer.start();
    await tour(bench);
    await bench.stop();
    const kept = openDatabase(join(bench.data, 'server.db'));
    keepHouse(kept, bench.clock.nowMs());
    // Where SQLite knows how few rows there are, it reads them all.
    kept.exec('DROP TABLE IF EXISTS sqlite_stat1; DROP TABLE IF EXISTS sqlite_stat4');
    kept.close();
    const db = openDatabase(join(bench.data, 'server.db'));
    expect(collected.sql.size).toBeGreaterThan(60);
    const scans = [...collected.sql].flatMap((sql) => scansOf(db, sql));
    db.close();
    expect(scans).toEqual([]);
  });

  it.each([
    'SELECT * FROM events WHERE appliance = coalesce(@appliance, appliance) ORDER BY serial DESC LIMIT 1',
    'SELECT count(*) FROM events e WHERE text = ?',
    'DELETE FROM orders WHERE created_at < ?',
    'SELECT * FROM appliances a JOIN events e ON e.received_at = a.enrolled_at',
  ])('would be found out if it read the whole of one: %s', async (sql) => {
    await using bench = await TestServer.start();
    const db = openDatabase(join(bench.data, 'server.db'));
    expect(scansOf(db, sql)).toHaveLength(1);
    db.close();
  });

  it('may read nothing whole that does not exist', async () => {
    await using bench = await TestServer.start();
    const db = new Database(join(bench.data, 'server.db'), { readonly: true });
    const tables = db.prepare<[], { name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    expect(Object.keys(boundedTables).filter((name) => !tables.some((table) => table.name === name))).toEqual([]);
    db.close();
  });
});
