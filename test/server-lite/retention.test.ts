import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkInPath } from '../../protocol/check-in.ts';
import type { EventInput } from '../../protocol/event.ts';
import { signRequest, verifyAnswer } from '../../protocol/trust/http-signature.ts';
import { eventQuotaOf } from '../../server-lite/machine/event-quota.ts';
import { prunerOf } from '../../server-lite/prune.ts';
import { openDatabase } from '../../server-lite/store/database.ts';
import { type EventRow, eventsOf } from '../../server-lite/store/events.ts';
import { type Keep, keepLimits } from '../../server-lite/store/keep.ts';
import type { ApplianceClient, Role } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const listShape = z.object({ events: z.array(z.object({ kind: z.string(), text: z.string(), n: z.number() })) });
const codeShape = z.object({ code: z.string() });
const storedShape = z.object({ stored: z.array(z.string()) });
const quiet = pino({ level: 'silent' });

/** The database of a stopped server, with an appliance that has sent a lot. */
async function withStored() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  const client = await bench.appliance('alpha');
  await client.checkIn('updater');
  await bench.stop();
  const db = openDatabase(join(bench.data, 'server.db'));
  const events = eventsOf(db);
  const clock = { ms: 0 };
  let n = 0;
  const add = (role: EventRow['role'], kind: string, count: number, text = ''): void => {
    db.transaction(() => {
      for (let i = 0; i < count; i += 1) {
        n += 1;
        events.add({ appliance: client.id, role, id: randomUUID(), n, kind, text, body: '{}', received_at: 1 });
      }
    })();
  };
  const kinds = (): Record<string, number> =>
    Object.fromEntries(
      db
        .prepare<[], { kind: string; n: number }>('SELECT kind, count(*) AS n FROM events GROUP BY kind')
        .all()
        .map((row) => [row.kind, row.n]),
    );
  const pruner = (limits: Partial<Record<Keep, { events: number; bytes: number }>>) => {
    const merged = Object.entries(keepLimits).map(([keep, limit]) => [keep, { ...limit, ...limits[keep as Keep] }]);
    const { step } = prunerOf(
      { events, monoMs: () => clock.ms, nowMs: () => 1, log: quiet },
      Object.fromEntries(merged),
    );
    return () => {
      let steps = 0;
      while (step()) steps += 1;
      return steps;
    };
  };
  return {
    bench,
    client,
    db,
    events,
    clock,
    add,
    kinds,
    pruner,
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

describe('events that are kept', () => {
  it('go by their worth, the oldest first, in bounded steps, and how many went is told in one record', async () => {
    await using stored = await withStored();
    const { events, client, clock, add, kinds, pruner, db } = stored;
    add('updater', 'release-rolled-back', 3);
    add('agent', 'note', 1_000);
    add('agent', 'record', 500);
    add('server', 'clone', 1);
    const prune = pruner({ note: { events: 300, bytes: 1_000_000 } });
    expect(prune()).toBeGreaterThanOrEqual(4);
    expect(kinds()).toMatchObject({ note: 300, record: 500, 'release-rolled-back': 3, clone: 1 });
    expect(events.list({ appliance: client.id, kind: 'note', limit: 500 }).at(-1)?.n).toBe(704);
    const told = () => events.list({ appliance: client.id, kind: 'events-dropped', limit: 10 }).map(({ text }) => text);
    expect(told()).toEqual([expect.stringMatching(/^700 of its notes and unreadable events were removed here so far/)]);
    add('agent', 'note', 100);
    expect(prune()).toBe(0);
    clock.ms += 60_000;
    prune();
    expect(told()).toEqual([expect.stringMatching(/^800 of its notes/)]);
    expect(events.tallies().map(({ keep, events: count }) => [keep, count])).toEqual(
      expect.arrayContaining([
        ['note', 300],
        ['record', 500],
        ['fact', 3],
        ['fact', 2],
      ]),
    );
    db.close();
  });

  it("of one writer push out nobody else's, nor what the server noted", async () => {
    await using stored = await withStored();
    const { add, kinds, pruner, events, db } = stored;
    add('updater', 'agent-crashed', 3);
    add('updater', 'note', 4);
    add('server', 'fault', 5);
    add('server', 'clone', 6);
    add('agent', 'order', 300);
    add('agent', 'unreadable', 400);
    add('server', 'agent-fact-refused', 500);
    const most = { events: 100, bytes: 1_000_000 };
    pruner({ fact: most, course: most, note: most })();
    expect(kinds()).toMatchObject({ 'agent-crashed': 3, note: 4, clone: 6, order: 100, unreadable: 100 });
    expect(events.list({ kind: 'events-dropped', limit: 10 }).map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^200 of its crashes and reports of orders .* of its agent are kept/),
        expect.stringMatching(/^300 of its notes .* of its agent are kept/),
        expect.stringMatching(/^405 of its notes .* of this server are kept/),
      ]),
    );
    db.close();
  });

  it('are bounded in bytes, too, and no appliance loses for another one', async () => {
    await using stored = await withStored();
    const { add, kinds, pruner, events, db } = stored;
    const other = `hf-${'b'.repeat(20)}`;
    db.prepare("INSERT INTO appliances (id, name, site, enrolled_at) VALUES (?, 'beta', 'Hall', 1)").run(other);
    events.add({
      appliance: other,
      role: 'agent',
      id: 'x',
      n: 1,
      kind: 'note',
      text: 'old',
      body: '{}',
      received_at: 1,
    });
    add('agent', 'note', 100, 'ж'.repeat(1_000));
    pruner({ note: { events: 1_000, bytes: 50_000 } })();
    expect(kinds().note).toBe(24 + 1);
    expect(events.list({ appliance: other, limit: 5 })).toHaveLength(1);
    db.close();
  });

  it('are pruned by the server that runs', async () => {
    await using stored = await withStored();
    const { add, db, bench } = stored;
    add('agent', 'note', Math.ceil(keepLimits.note.events * 1.06));
    db.close();
    await bench.run();
    const dropped = async () =>
      listShape.parse((await bench.api('GET', '/api/events?kind=events-dropped')).body).events;
    const [told] = await until('what was removed is told', patienceMs, async () => {
      const found = await dropped();
      return found.length > 0 ? found : null;
    });
    expect(told?.text).toMatch(/^1200 of its notes/);
  });
});

const notes = (client: ApplianceClient, role: Role, count: number): EventInput[] =>
  Array.from({ length: count }, () => client.event(role, { kind: 'note' }));

async function raw(client: ApplianceClient, role: Role, events: readonly EventInput[]) {
  const body = Buffer.from(JSON.stringify(client.request(role, { events })));
  const request = { method: 'POST', path: checkInPath, body };
  const signed = signRequest(request, client.keys[role].privateKey);
  const headers = { 'content-type': 'application/json', ...signed };
  const answer = await fetch(`${client.url}${checkInPath}`, { method: 'POST', headers, body });
  const bytes = Buffer.from(await answer.arrayBuffer());
  verifyAnswer(
    { status: answer.status, body: bytes },
    Object.fromEntries(answer.headers),
    request,
    signed.signature,
    client.answerKeys,
  );
  return { status: answer.status, retryAfterS: Number(answer.headers.get('retry-after')), body: bytes.toString() };
}

describe('a sender that sends without end', () => {
  it('is answered 429 with a time, loses nothing, and its release still gets through', async () => {
    await using bench = await TestServer.start();
    const manifest = await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    await client.checkIn('updater');
    // As a sender does: what was not acknowledged goes first the next time.
    let waiting: EventInput[] = [];
    const forget = (stored: readonly string[]): void => {
      waiting = waiting.filter(({ id }) => !stored.includes(id));
    };
    let answer = { status: 200, retryAfterS: 0, body: '' };
    for (let i = 0; i < 400 && answer.status !== 429; i += 1) {
      waiting.push(...notes(client, 'updater', 24 - waiting.length));
      answer = await raw(client, 'updater', waiting);
      if (answer.status === 200) forget(storedShape.parse(JSON.parse(answer.body)).stored);
    }
    expect([answer.status, codeShape.parse(JSON.parse(answer.body)).code]).toEqual([429, 'events-over-quota']);
    expect(answer.retryAfterS).toBeGreaterThan(0);
    expect(answer.retryAfterS).toBeLessThanOrEqual(24);
    expect(waiting).toHaveLength(24);
    const release = {
      tx: 1,
      component: 'app',
      manifest,
      version: '1.0.52',
      from: '1.0.49',
      reason: 'stalled',
    } as const;
    const fact = client.event('updater', { kind: 'release-rolled-back', release });
    const among = await client.checkIn('updater', { events: [...waiting.slice(0, 5), fact] });
    expect(among.stored).toContain(fact.id);
    expect(among.desired).not.toBeNull();
    expect(among.ackUpto).toBeLessThan(fact.n);
    forget(among.stored ?? []);
    // Who sends nothing is answered, and so is the other program.
    expect((await client.tryCheckIn('updater')).status).toBe(200);
    expect((await client.checkIn('agent', { events: notes(client, 'agent', 24) })).stored).toHaveLength(24);
    for (const batch of [waiting, [fact, ...notes(client, 'updater', 3)]]) {
      bench.clock.aheadMs += 1_000 * answer.retryAfterS;
      const taken = await client.checkIn('updater', { events: batch });
      expect(taken.stored).toHaveLength(batch.length);
      expect([taken.ackUpto, taken.offerFrom]).toEqual([batch.at(-1)?.n, undefined]);
    }
    for (const kind of ['updater-events-missing', 'updater-numbering-went-back']) {
      expect(listShape.parse((await bench.api('GET', `/api/events?kind=${kind}`)).body).events).toEqual([]);
    }
  });

  it('has a quota of its own for what happened to releases, and so has each program', () => {
    let ms = 0;
    const quota = eventQuotaOf(() => ms);
    const taken = (role: Role, kind: string) => {
      let count = 0;
      while (quota.take({ appliance: 'hf-1', role, kind, bytes: 300 })) count += 1;
      return count;
    };
    expect(taken('agent', 'record')).toBe(20_000);
    expect([taken('agent', 'order'), taken('updater', 'note'), taken('updater', 'release-committed')]).toEqual([
      0, 2_000, 500,
    ]);
    expect(quota.waitS({ appliance: 'hf-1', role: 'agent', kind: 'record' })).toBe(5);
    ms += 5_000;
    expect([taken('agent', 'record'), taken('updater', 'note'), taken('updater', 'safe-mode')]).toEqual([25, 5, 1]);
    expect(quota.take({ appliance: 'hf-2', role: 'agent', kind: 'record', bytes: 300 })).toBe(true);
    ms += 86_400_000;
    // What an agent makes by its standard, a reading a second, never meets the bound.
    expect(taken('agent', 'record')).toBe(20_000);
  });
});
