import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { counterMax, counterStepMax, serverCounterStepMax } from '../../../protocol/bounded-step.ts';
import { checkInPath } from '../../../protocol/check-in.ts';
import { openServerDatabase } from '../../support/server-database.ts';
import { TestServer } from '../../support/test-server.ts';

async function withAppliance() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return { bench, client: await bench.appliance('alpha') };
}

const nextOf = (body: unknown): number => z.object({ next: z.int() }).parse(body).next;

describe('a counter that a copied key put far ahead', () => {
  it('is moved by a bounded step, and its appliance checks in after one 409', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.checkIn('updater');
    const thief = client.request('updater', { seq: Number.MAX_SAFE_INTEGER });
    expect((await client.send(checkInPath, thief, client.keys.updater)).status).toBe(200);
    const refused = await client.tryCheckIn('updater');
    expect([refused.status, nextOf(refused.body)]).toEqual([409, 1 + serverCounterStepMax + 1]);
    client.seq.updater = nextOf(refused.body) - 1;
    expect((await client.tryCheckIn('updater')).status).toBe(200);
  });

  it('again and again is passed by its appliance with one answer', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    for (let i = 0; i < 60; i += 1) {
      const thief = client.request('updater', { seq: Number.MAX_SAFE_INTEGER - i });
      await client.send(checkInPath, thief, client.keys.updater);
    }
    const refused = await client.tryCheckIn('updater');
    expect(nextOf(refused.body)).toBeLessThan(counterStepMax);
    client.seq.updater = nextOf(refused.body) - 1;
    expect((await client.tryCheckIn('updater')).status).toBe(200);
  });

  it('is not taken a second time, by whoever heard it', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    const thief = client.request('updater', { seq: Number.MAX_SAFE_INTEGER });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) {
      statuses.push((await client.send(checkInPath, thief, client.keys.updater)).status);
    }
    expect(statuses).toEqual([200, 409, 409]);
  });

  it('takes none of several a second time, where some messages of its appliance never came', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.checkIn('updater');
    const ahead = [4, 5, 6].map((run) => client.request('updater', { seq: run * serverCounterStepMax }));
    const statuses = [];
    for (const request of [...ahead, ...ahead]) {
      statuses.push((await client.send(checkInPath, request, client.keys.updater)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 409, 409, 409]);
  });

  it('follows an appliance that was sent far ahead: what it said before is behind it then', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.checkIn('updater');
    client.seq.updater = 16 * counterStepMax;
    const recorded = client.request('updater', { seq: 16 * counterStepMax - 1 });
    for (let i = 0; i < 70 + 16; i += 1) await client.checkIn('updater');
    expect((await client.send(checkInPath, recorded, client.keys.updater)).status).toBe(409);
    const refused = await client.tryCheckIn('updater', { seq: 1 });
    expect(nextOf(refused.body)).toBeGreaterThan(16 * counterStepMax);
  });

  it('takes one after a thousand crashes without a network whole', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.checkIn('updater');
    const held = client.request('updater', { seq: 500 * 1_000 });
    client.seq.updater = 1_000 * 1_000;
    await client.checkIn('updater');
    expect((await client.send(checkInPath, held, client.keys.updater)).status).toBe(409);
  });

  it('is evidence of nothing after a reset, whichever message comes first', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    const tape = [1, 2, 3].map((seq) => client.request('updater', { seq, boot: 'before' }));
    for (const request of tape) await client.send(checkInPath, request, client.keys.updater);
    client.seq.updater = 3;
    for (let i = 0; i < 3; i += 1) await client.checkIn('updater');
    await bench.api('POST', '/api/appliances/alpha/reset-counter');
    for (const request of tape) await client.send(checkInPath, request, client.keys.updater);
    for (let i = 0; i < 3; i += 1) await client.checkIn('updater');
    expect((await bench.api('GET', '/api/appliances/alpha')).body).toMatchObject({
      sentence: expect.not.stringContaining('Two machines'),
    });
  });

  it('takes none of them a second time after a restart', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.checkIn('updater');
    const ahead = [4, 5, 6].map((run) => client.request('updater', { seq: run * serverCounterStepMax }));
    for (const request of ahead) await client.send(checkInPath, request, client.keys.updater);
    await bench.stop();
    await bench.run();
    const again = await bench.reconnected(client);
    const statuses = [];
    for (const request of ahead) statuses.push((await again.send(checkInPath, request, client.keys.updater)).status);
    expect(statuses).toEqual([409, 409, 409]);
    again.seq.updater = 7 * serverCounterStepMax;
    expect((await again.tryCheckIn('updater')).status).toBe(200);
  });

  it('is behind the first one after an operator reset it, with all that was recorded before', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.tryCheckIn('updater', { seq: Number.MAX_SAFE_INTEGER });
    const recorded = client.request('updater', { seq: 21 * serverCounterStepMax });
    await bench.api('POST', '/api/appliances/alpha/reset-counter');
    client.seq.updater = 110 * serverCounterStepMax;
    await client.checkIn('updater');
    expect((await client.send(checkInPath, recorded, client.keys.updater)).status).toBe(409);
  });

  it('stays where it is over a restart, and an operator can begin it anew', async () => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await client.checkIn('updater');
    await client.tryCheckIn('updater', { seq: Number.MAX_SAFE_INTEGER });
    await bench.stop();
    await bench.run();
    const again = await bench.reconnected(client);
    expect(nextOf((await again.tryCheckIn('updater')).body)).toBe(1 + serverCounterStepMax + 1);
    const reset = await bench.api('POST', '/api/appliances/alpha/reset-counter');
    expect(reset.body).toMatchObject({ reset: 2, text: expect.stringContaining('next check-in is taken') });
    expect((await again.tryCheckIn('updater')).status).toBe(200);
    expect(JSON.stringify((await bench.api('GET', '/api/events?kind=counter-reset')).body)).toContain('were reset');
  });
});

describe('a stored counter that no counter reaches', () => {
  it.each([counterMax, Number.MAX_SAFE_INTEGER, -5])('(%d) begins anew, and that is said', async (ceiling) => {
    const { bench, client } = await withAppliance();
    await using _ = bench;
    await bench.stop();
    {
      using database = openServerDatabase(bench.data);
      database.db.prepare('UPDATE keys SET counter_ceiling = ?').run(ceiling);
    }
    await bench.run();
    expect((await (await bench.reconnected(client)).tryCheckIn('agent')).status).toBe(200);
    const { body } = await bench.api('GET', '/api/events?appliance=alpha&kind=counter-reset');
    expect(JSON.stringify(body)).toContain(`is ${ceiling}, which no counter reaches; it begins again`);
  });
});

describe('a stop', () => {
  it('writes all counters in one transaction: a sync for each of three thousand keys takes longer than a stop may', async () => {
    const { bench } = await withAppliance();
    await using _ = bench;
    const clients = await Promise.all(['beta', 'gamma', 'delta'].map((name) => bench.appliance(name)));
    for (const client of clients) for (let i = 0; i < 3; i += 1) await client.checkIn('agent');
    {
      using database = openServerDatabase(bench.data);
      // The third write fails: what the first two wrote is there only where each was a transaction of its own.
      database.db.exec(`CREATE TABLE written (n INTEGER);
        CREATE TRIGGER cut AFTER UPDATE OF counter_ceiling ON keys BEGIN
          INSERT INTO written VALUES (1);
          SELECT CASE WHEN (SELECT count(*) FROM written) = 3 THEN RAISE(ABORT, 'cut') END;
        END`);
    }
    await bench.stop();
    expect(bench.log.join('')).toContain('settle the counters failed');
    using database = openServerDatabase(bench.data);
    expect(database.db.prepare('SELECT count(*) AS n FROM written').get()).toEqual({ n: 0 });
    database.db.exec('DROP TRIGGER cut');
  });
});
