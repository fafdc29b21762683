import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chainHash } from '../../agent/outbox-chain.ts';
import { readingDigest } from '../../agent/state.ts';
import { sha256 } from '../../protocol/digest.ts';
import { TestAppliance, until } from './agent-process.ts';

let appliance: TestAppliance;

beforeEach(() => {
  appliance = new TestAppliance();
});

afterEach(async () => {
  const { problems } = appliance.server;
  await appliance.end();
  expect(problems).toEqual([]);
});

function openRows<Row>(path: string, query: string): Row[] {
  const database = new Sqlite(path, { readonly: true });
  try {
    return database.prepare<[], Row>(query).all();
  } finally {
    database.close();
  }
}

describe('health', () => {
  it('echoes the nonce of this start and moves its progress by the turns of its work', async () => {
    appliance.run();
    const first = await appliance.healthy();
    expect(first).toMatchObject({
      proto: 1,
      nonce: appliance.start.nonce,
      version: '0.0.0-dev',
      state: { schema: 1, migrated: true },
      checks: { readings: 'ok', state: 'ok', outbox: 'ok', disk: 'ok', settings: 'ok' },
      inhibit: null,
    });
    await until('progress', async () => ((await appliance.health())?.progress ?? 0) > first.progress);
    await until('a reading of a later turn', () => {
      const rows = openRows<{ n: number }>(appliance.layout.stateDb, 'SELECT n FROM readings');
      return rows.length > 1;
    });
  });

  it('answers, without a server and without credentials, that the server is not reached', async () => {
    appliance.run();
    const health = await until('the first try', async () => {
      const found = await appliance.healthy();
      return found.server === 'fail' ? found : null;
    });
    expect(health.checks.readings).toBe('ok');
  });

  it('takes over the socket that a killed agent left behind', async () => {
    const killed = appliance.run();
    await appliance.healthy();
    killed.kill('SIGKILL');
    await killed.exit();
    expect(statSync(appliance.layout.agentSocket).isSocket()).toBe(true);
    appliance.start = { ...appliance.start, nonce: 'cd'.repeat(32) };
    appliance.writeStart();
    appliance.run();
    await until('the new start', async () => (await appliance.health())?.nonce === 'cd'.repeat(32));
  });
});

describe('start and stop', () => {
  it.each([
    ['start-missing', () => rmSync(join(appliance.layout.launchedComponent('app'), 'start.json'))],
    ['start-invalid', () => writeFileSync(join(appliance.layout.launchedComponent('app'), 'start.json'), '{')],
    [
      'start-invalid',
      () => {
        const path = join(appliance.layout.launchedComponent('app'), 'start.json');
        rmSync(path, { force: true });
        mkdirSync(path);
      },
    ],
  ])('refuses to start with exit status 78 and says what to do: %s', async (code, damage) => {
    damage();
    const run = appliance.run();
    expect(await run.exit()).toEqual({ code: 78, signal: null });
    expect(run.stderr).toContain(`(${code})`);
    expect(run.stderr).toContain('what to do:');
  });

  it('refuses a state that is newer than it knows, and leaves its bytes alone', async () => {
    const database = new Sqlite(appliance.layout.stateDb);
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE meta (schema INTEGER); INSERT INTO meta VALUES (2)');
    database.close();
    const before = sha256(readFileSync(appliance.layout.stateDb));
    const run = appliance.run();
    expect(await run.exit()).toEqual({ code: 78, signal: null });
    expect(run.stderr).toContain('(state-too-new)');
    expect(sha256(readFileSync(appliance.layout.stateDb))).toBe(before);
  });

  it('stops cleanly within 5 s, with one database file each and nothing left in a log', async () => {
    await appliance.startServer();
    const run = appliance.run();
    await until('a check-in', () => appliance.server.requests.length > 1);
    run.kill('SIGTERM');
    // Had it taken longer, it would have ended itself with 1.
    expect(await run.exit()).toEqual({ code: 0, signal: null });
    for (const path of [appliance.layout.stateDb, appliance.layout.outboxDb]) {
      expect(statSync(path).isFile()).toBe(true);
      expect(statSync(`${path}-wal`, { throwIfNoEntry: false })).toBeUndefined();
    }
    expect(run.stderr).toBe('');
    expect(run.stdout).not.toContain('PRIVATE KEY');
  });

  it('works with no settings file, with fields that it does not know, and says which field is wrong', async () => {
    rmSync(appliance.layout.agentSettings);
    const without = appliance.run();
    expect((await appliance.healthy()).checks.settings).toBe('ok');
    without.kill('SIGTERM');
    await without.exit();

    appliance.settings({ intervalMs: 'often', site_name: 'Hof', mcp_server: 'x' });
    const wrong = appliance.run();
    expect((await appliance.healthy()).checks).toMatchObject({ settings: 'warn', readings: 'ok' });
    expect(wrong.stdout).toContain('intervalMs');
    await until('the line that says it is up', () => wrong.stdout.includes('Hof'));
  });
});

describe('evidence', () => {
  it('S16: keeps each record until the server acknowledged it, in one chain without gaps', async () => {
    appliance.run();
    await until('readings', async () => ((await appliance.health())?.progress ?? 0) > 5);
    await appliance.startServer();
    appliance.server.acknowledges = false;
    await until('records', () => appliance.server.records().length >= 5);
    const waiting = () =>
      openRows<{ count: number }>(appliance.layout.outboxDb, 'SELECT count(*) AS count FROM events WHERE acked = 0')[0]
        ?.count ?? 0;
    expect(waiting()).toBeGreaterThanOrEqual(5);
    appliance.server.acknowledges = true;
    await until('the acknowledgement', () => waiting() <= 3);

    const events = openRows<{ n: number; body: string; prev: string; hash: string }>(
      appliance.layout.outboxDb,
      'SELECT n, body, prev, hash FROM events ORDER BY n',
    );
    let prev = '0'.repeat(64);
    for (const [index, event] of events.entries()) {
      expect(event).toMatchObject({ n: index + 1, prev, hash: chainHash(prev, event.body) });
      prev = event.hash;
    }
    const rows = openRows<{ n: number; value: number | null; sha256: string }>(
      appliance.layout.stateDb,
      'SELECT n, value, sha256 FROM readings ORDER BY n',
    );
    for (const row of rows) expect(row.sha256).toBe(readingDigest(row.n, row.value));
    for (const record of appliance.server.records()) {
      expect(rows.find((row) => `reading-${row.n}` === record.name)?.sha256).toBe(record.sha256);
    }
  });

  it('offers again what a restored server no longer has', async () => {
    await appliance.startServer();
    appliance.run();
    await until('records', () => appliance.server.records().length >= 5);
    appliance.server.events.clear();
    appliance.server.epoch = 'epoch-2';
    await until('the first event again', () => appliance.server.contiguous() >= 5);
  });

  it('S53: never gives a number twice when an older state.db is put back', async () => {
    await appliance.startServer();
    const first = appliance.run();
    await until('records', () => appliance.server.records().length >= 3);
    first.kill('SIGTERM');
    await first.exit();
    const snapshot = readFileSync(appliance.layout.stateDb);
    const second = appliance.run();
    const before = appliance.server.records().length;
    await until('more records', () => appliance.server.records().length >= before + 3);
    second.kill('SIGKILL');
    await second.exit();
    rmSync(`${appliance.layout.stateDb}-wal`, { force: true });
    rmSync(`${appliance.layout.stateDb}-shm`, { force: true });
    writeFileSync(appliance.layout.stateDb, snapshot);
    appliance.run();
    const again = appliance.server.records().length;
    await until('records after the rollback', () => appliance.server.records().length >= again + 3);
    const names = appliance.server.records().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
