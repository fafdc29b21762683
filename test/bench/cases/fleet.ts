import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { ApplianceClient } from '../../support/appliance-client.ts';
import { TestServer } from '../../support/test-server.ts';
import { type Measured, medianOf } from '../result.ts';

/** What a look at the fleet costs, and who waits for it: with many appliances, and with events of months. */
type Tell = (measured: Measured) => void;

const appliances = 1_500;
const eventCounts = [200_000, 1_000_000] as const;
const looks = 5;
/** A page that is refreshed each two seconds should cost a small part of them. */
const lookMsMax = 500;
const checkInMsMax = 600;

export async function run(tell: Tell, progress: (text: string) => void): Promise<void> {
  const bench = await TestServer.start([], { openToThisHost: true });
  try {
    await bench.publish('1.0.49');
    const client = await bench.appliance('one-that-speaks');
    for (const role of ['agent', 'updater'] as const) await client.checkIn(role);
    await bench.stop();
    fillAppliances(bench.data, Date.now() + bench.clock.aheadMs);
    let stored = 0;
    for (const count of eventCounts) {
      progress(`${appliances} appliances, ${count} events: filling`);
      fillEvents(bench.data, stored, count);
      stored = count;
      await bench.run();
      await measure(bench, await bench.reconnected(client), `${appliances} appliances, ${count} events`, tell);
      await bench.stop();
    }
  } finally {
    await bench[Symbol.asyncDispose]();
  }
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

async function measure(bench: TestServer, client: ApplianceClient, name: string, tell: Tell): Promise<void> {
  const page = async () => (await fetch(`${bench.url}/fragment`)).text();
  const list = () => bench.api('GET', '/api/appliances');
  const all = { page: [] as number[], list: [] as number[], meanwhile: [] as number[], pollers: [] as number[] };
  for (let i = 0; i < looks; i += 1) {
    // Older than any shared look.
    bench.clock.aheadMs += 60_000;
    all.page.push(await took(page));
    bench.clock.aheadMs += 60_000;
    all.list.push(await took(list));
    bench.clock.aheadMs += 60_000;
    const looking = page();
    all.meanwhile.push(await took(() => client.tryCheckIn('updater')));
    await looking;
    bench.clock.aheadMs += 60_000;
    all.pollers.push(await took(() => Promise.all(Array.from({ length: 20 }, page))));
  }
  const say = (metric: string, values: readonly number[], atMost: number) =>
    tell({ bench: 'fleet', case: name, metric, value: medianOf(values), unit: 'ms', atMost });
  say('the page', all.page, lookMsMax);
  say('the list of the API', all.list, lookMsMax);
  say('a check-in that comes during a look', all.meanwhile, checkInMsMax);
  // The bytes are sent to each of them, but made once.
  say('the page for 20 people at once', all.pollers, 6 * lookMsMax);
}

function idOf(index: number): string {
  return `hf-${createHash('sha256').update(String(index)).digest('hex').slice(0, 20)}`;
}

/** As the one that has checked in. */
function fillAppliances(data: string, nowMs: number): void {
  const db = new Database(join(data, 'server.db'));
  const add = db.prepare(
    `INSERT INTO appliances (id, name, site, hardware, enrolled_at, presence) SELECT ?, ?, site, hardware, enrolled_at, presence
     FROM appliances WHERE name = 'one-that-speaks'`,
  );
  const key = db.prepare('INSERT INTO keys (key_id, appliance, role, public_key, added_at) VALUES (?, ?, ?, ?, ?)');
  db.transaction(() => {
    for (let i = 1; i < appliances; i += 1) {
      add.run(idOf(i), `bench-${i}`);
      for (const role of ['agent', 'updater']) key.run(`${role} ${i}`, idOf(i), role, `${role} ${i}`, nowMs);
    }
  })();
  db.close();
}

/** Mostly records, and now and then what lists show. */
function fillEvents(data: string, from: number, to: number): void {
  const db = new Database(join(data, 'server.db'));
  db.pragma('synchronous = OFF');
  const add = db.prepare(
    `INSERT INTO events (appliance, role, id, n, kind, text, body, received_at) VALUES (?, ?, ?, ?, ?, '', ?, ?)`,
  );
  const record = JSON.stringify({
    record: { name: 'reading-1', sha256: 'a'.repeat(64) },
    at: { boot: 'b', monoMs: 1 },
  });
  db.transaction(() => {
    for (let i = from; i < to; i += 1) {
      const [role, kind] = i % 100 === 0 ? ['updater', 'release-committed'] : ['agent', 'record'];
      add.run(idOf(1 + (i % (appliances - 1))), role, String(i), i, kind, record, i);
    }
  })();
  db.close();
}
