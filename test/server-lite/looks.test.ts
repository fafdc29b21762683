import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fleetSections } from '../../server-lite/dashboard/sections.ts';
import { alone } from '../../server-lite/operator/alone.ts';
import { eventViewShape, orderListShape, releaseListShape } from '../../server-lite/operator/shapes.ts';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';
import { collectStatements } from './store/plans.ts';

async function withTwo(dearLookMs?: number) {
  const bench = await TestServer.start([], { openToThisHost: true });
  if (dearLookMs !== undefined) {
    await bench.stop();
    bench.dearLookMs = dearLookMs;
    await bench.run();
  }
  await bench.publish('1.0.49');
  const [alpha, beta] = [await bench.appliance('alpha'), await bench.appliance('beta')];
  for (const client of [alpha, beta]) for (const role of ['agent', 'updater'] as const) await client.checkIn(role);
  return { bench, alpha, beta };
}

const page = async (bench: TestServer): Promise<string> => {
  const answer = await fetch(`${bench.url}/fragment`);
  expect(answer.status).toBe(200);
  return answer.text();
};

describe('a view that fails', () => {
  it('costs one row of the dashboard, and is named there: a time that no calendar has', async () => {
    const { bench } = await withTwo();
    await using _ = bench;
    const views = await Promise.all(['alpha', 'beta'].map((name) => bench.show(name)));
    const [alpha, beta] = views;
    if (alpha === undefined || beta === undefined) throw new Error('two were asked for');
    const failed: string[] = [];
    const bad = { ...beta, checkIns: { ...beta.checkIns, updater: { atMs: 1e20, ageS: 0 } } };
    const rowFailed = (what: string) => void failed.push(what);
    const state = { appliances: [bad, alpha], orders: [], rollouts: [], nowMs: bench.clock.nowMs(), rowFailed };
    const { markup: text } = fleetSections(state, false);
    expect(text).toMatch(/appliance beta<\/b><strong class="alert">cannot be shown: RangeError/);
    expect(text).toContain('<b>alpha</b>');
    expect(failed).toEqual(['appliance beta']);
  });

  it('is in the list with the reason', () => {
    const logged: unknown[] = [];
    const core = { log: pino({}, { write: (line: string) => void logged.push(line) }) };
    const fail = () => {
      throw new RangeError('it is damaged');
    };
    expect(alone(core, 'appliance beta', fail, (why) => why)).toBe('it cannot be shown: it is damaged');
    expect(logged).toEqual([expect.stringContaining('appliance beta cannot be shown')]);
    expect(alone(core, 'appliance alpha', () => 'shown', String)).toBe('shown');
  });

  it.each([
    ['$.updater.atMs', 1e20],
    ['$.updater.have.app.version', 'none'],
  ])('is none where what an appliance last said (%s: %j) could stop others: it is set aside', async (path, value) => {
    const { bench, alpha } = await withTwo();
    await using _ = bench;
    await bench.publish('1.0.52');
    await bench.rollOut('1.0.52', ['beta']);
    await bench.stop();
    {
      using database = openServerDatabase(bench.data);
      const sql = `UPDATE appliances SET presence = json_set(presence, ?, ?) WHERE name = 'beta'`;
      expect(database.db.prepare(sql).run(path, value).changes).toBe(1);
    }
    await bench.run();
    expect((await (await bench.reconnected(alpha)).tryCheckIn('updater')).status).toBe(200);
    for (const each of ['/api/appliances', '/api/rollouts']) expect((await bench.api('GET', each)).status).toBe(200);
    expect(await page(bench)).toContain('Beta: its last report about itself was damaged');
  });
});

/** As a page of the file that was damaged: the tables check what is written, and not what is there. */
async function damage(bench: TestServer, table: string, column: string, where: string, value: string | null = null) {
  await bench.stop();
  {
    using database = openServerDatabase(bench.data);
    const strict = database.db.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').get(table)?.sql;
    const rewrite = (sql: string) => {
      database.db.exec('PRAGMA writable_schema = ON');
      database.db.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?').run(sql, table);
      database.db.exec('PRAGMA writable_schema = RESET');
    };
    rewrite(String(strict).replace(/STRICT$/, ''));
    const sql = `UPDATE ${table} SET ${column} = coalesce(?, CAST(${column} AS BLOB)) WHERE ${where}`;
    expect(database.db.prepare(sql).run(value).changes).toBe(1);
    rewrite(String(strict));
  }
  await bench.run();
}

describe('a damaged row of a list', () => {
  const notShown = expect.stringMatching(/^It cannot be shown: /);

  it('of orders costs that order, in the list and on the dashboard', async () => {
    const { bench } = await withTwo();
    await using _ = bench;
    const [bad, good] = [await bench.sendOrder('alpha', 'identify'), await bench.sendOrder('alpha', 'run-checks')];
    await damage(bench, 'orders', 'kind', `id = '${bad.id}'`);
    const { orders } = orderListShape.parse((await bench.api('GET', '/api/orders')).body);
    expect(orders.map(({ id, sentence }) => [id, sentence])).toEqual([
      [good.id, 'queued'],
      [bad.id, notShown],
    ]);
    const shown = await page(bench);
    expect(shown).toContain('run-checks');
    expect(shown).toContain('It cannot be shown: ');
  });

  it.each([
    ['bundle_sha256', null],
    ['component', 'nonsense'],
    ['version', 'none'],
    ['published_at', '9000000000000000000'],
  ])('of releases (%s) costs that release', async (column, value) => {
    const { bench } = await withTwo();
    await using _ = bench;
    await bench.publish('1.0.52');
    await damage(bench, 'releases', column, "version = '1.0.52'", value);
    const { releases } = releaseListShape.parse((await bench.api('GET', '/api/releases')).body);
    expect(releases.map(({ version, trouble }) => [version, trouble])).toEqual([
      ['1.0.49', null],
      [column === 'version' ? 'none' : '1.0.52', notShown],
    ]);
  });

  it('of events costs that event', async () => {
    const { bench, alpha } = await withTwo();
    await using _ = bench;
    const note = (text: string) => alpha.event('updater', { kind: 'note', text });
    await alpha.checkIn('updater', { events: [note('bad'), note('good')] });
    await damage(bench, 'events', 'text', "text = 'bad'");
    const answer = await bench.api('GET', '/api/events?kind=note');
    const { events } = z.object({ events: z.array(eventViewShape) }).parse(answer.body);
    expect(events.map(({ text }) => text)).toEqual(['good', notShown]);
  });
});

describe('what many people look at', () => {
  it('is made once while nothing changes, and anew at once when something does', async () => {
    const { bench, alpha } = await withTwo();
    await using _ = bench;
    const withoutAges = (text: string) => text.replaceAll(/<time .*?<\/time>|\d+ s ago|\d+ s (ahead|behind)/g, '');
    const first = await page(bench);
    expect(withoutAges(await page(bench))).toBe(withoutAges(first));
    await alpha.checkIn('updater', { row: 'trial', health: { status: 'ok', row: 'trial', agentAlive: true } });
    expect(await page(bench)).toContain('Another version is on trial');
    await bench.api('POST', '/api/appliances/beta/retire');
    expect(await page(bench)).toContain('It is retired');
    bench.clock.aheadMs += 3_600_000;
    expect(await page(bench)).toContain('Offline: not heard from for 60 min');
  });

  it('is used for a while whatever is reported, where it is dear to make', async () => {
    const { bench, alpha } = await withTwo(0);
    await using _ = bench;
    const first = await page(bench);
    await alpha.checkIn('updater', { row: 'trial', health: { status: 'ok', row: 'trial', agentAlive: true } });
    // It took a moment to make, and ten times that has not passed: the clock of the test stands behind it.
    bench.clock.aheadMs -= 3_600_000;
    expect(await page(bench)).toBe(first);
    bench.clock.aheadMs += 2 * 3_600_000;
    expect(await page(bench)).toContain('Offline');
  });

  it('asks for the events of no appliance, however many there are', async () => {
    using collected = collectStatements();
    const { bench } = await withTwo();
    await using _ = bench;
    await page(bench);
    expect([...collected.sql].filter((sql) => /FROM events/.test(sql) && /max\(|count\(|json/.test(sql))).toEqual([]);
  });
});

describe('a database in which news were not kept yet', () => {
  it('gets them from its latest events when the server starts, also beside one that is nested too deep', async () => {
    const { bench, alpha } = await withTwo();
    await using _ = bench;
    const evidence = { exit: null, output: 'seen', checks: [], server: null, timeline: [] };
    const release = (version: string) =>
      ({
        tx: 1,
        component: 'app',
        manifest: version.padEnd(64, 'a').replaceAll('.', 'a'),
        version,
        from: '1.0.49',
        reason: 'stalled',
        evidence,
      }) as const;
    const crash = { count: 1, exit: { code: 1, signal: null }, version: '1.0.49', output: 'its words' };
    const events = [
      alpha.event('updater', { kind: 'release-rolled-back', release: release('1.0.50') }),
      alpha.event('updater', { kind: 'release-committed', release: release('1.0.51') }),
      ...[1, 2, 3].map(() =>
        alpha.event('updater', { kind: 'release-rolled-back', text: 'it stalled', release: release('1.0.52') }),
      ),
      alpha.event('updater', { kind: 'agent-crashed', text: 'it ended', crash }),
      alpha.event('updater', { kind: 'note', text: 'deep' }),
    ];
    await alpha.checkIn('updater', { events });
    const before = await bench.show('alpha');
    expect(before.alert).toContain('was tried 3 times');
    expect([before.failedTrial?.version, before.lastCrash?.output]).toEqual(['1.0.52', 'its words']);
    await bench.stop();
    {
      using database = openServerDatabase(bench.data);
      database.db.exec(
        "DELETE FROM appliance_news; DELETE FROM failed_releases; DELETE FROM settings WHERE name = 'news-kept'",
      );
      database.db
        .prepare("UPDATE events SET body = ? WHERE text = 'deep'")
        .run(`{"x":${'['.repeat(1_500)}${']'.repeat(1_500)}}`);
    }
    await bench.run();
    const { alert, failedTrial, lastCrash } = await bench.show('alpha');
    expect({ alert, failedTrial, lastCrash }).toEqual({
      alert: before.alert,
      failedTrial: before.failedTrial,
      lastCrash: before.lastCrash,
    });
    for (const path of ['/api/events', '/api/appliances']) expect((await bench.api('GET', path)).status).toBe(200);
  });
});
