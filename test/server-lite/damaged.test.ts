import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkoutRoot } from '../house/checkout.ts';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';

const damage = ['{"x', '', 'null', '[]', '{"agent":7}'] as const;

async function withFleet() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  await bench.publish('1.0.52');
  const [alpha, beta] = [await bench.appliance('alpha'), await bench.appliance('beta')];
  for (const client of [alpha, beta]) for (const role of ['agent', 'updater'] as const) await client.checkIn(role);
  return { bench, alpha, beta };
}

async function whileStopped(bench: TestServer, sql: string, ...values: string[]): Promise<void> {
  await bench.stop();
  {
    using database = openServerDatabase(bench.data);
    expect(database.db.prepare(sql).run(...values).changes).toBeGreaterThan(0);
  }
  await bench.run();
}

const restart = async (bench: TestServer, between: () => Promise<unknown>): Promise<void> => {
  await bench.stop();
  await between();
  await bench.run();
};

describe('a damaged row', () => {
  it.each(damage)('of what an appliance last said (%j) costs only that, and is said', async (value) => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    await whileStopped(bench, "UPDATE appliances SET presence = ? WHERE name = 'beta'", value);
    expect((await bench.show('alpha')).versions).toMatchObject({ app: { version: '1.0.49' } });
    expect((await bench.show('beta')).sentence).toMatch(/never checked in/);
    expect((await bench.server()).notices).toEqual([
      expect.stringMatching(/^beta: its last report about itself was damaged/),
    ]);
    expect((await (await bench.reconnected(alpha)).tryCheckIn('updater')).status).toBe(200);
  });

  it.each(damage.slice(0, 3))(
    'of a list of canaries (%j) lets its rollout reach nobody, and no check-in fails',
    async (value) => {
      const { bench, alpha } = await withFleet();
      await using _ = bench;
      const rollout = await bench.rollOut('1.0.52', ['alpha']);
      await whileStopped(bench, 'UPDATE rollouts SET canaries = ?', value);
      const { desired } = await (await bench.reconnected(alpha)).checkIn('updater');
      expect(desired?.release).toBeNull();
      expect(desired?.reasons.join()).toMatch(/paused: its list of canaries is damaged/);
      expect(await bench.rollout(rollout.id)).toMatchObject({ state: 'paused', canaries: [] });
    },
  );

  it.each(damage)('of a signed order (%j) ends that order, and the next one is sent', async (value) => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    const [bad, good] = [await bench.sendOrder('alpha', 'identify'), await bench.sendOrder('alpha', 'run-checks')];
    await whileStopped(bench, 'UPDATE orders SET envelope = ?, args = ? WHERE id = ?', value, value, bad.id);
    const again = await bench.reconnected(alpha);
    expect(again.orderIds(await again.checkIn('agent'))).toEqual([good.id]);
    expect(await bench.order(bad.id)).toMatchObject({ state: 'failed', error: expect.stringContaining('damaged') });
    expect((await bench.api('GET', '/api/orders')).status).toBe(200);
  });

  it.each(damage)('of an event (%j) costs only itself', async (value) => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    const [manifest, name] = ['a'.repeat(64), 'one'];
    const release = {
      tx: 1,
      component: 'app',
      manifest,
      version: '1.0.52',
      from: '1.0.49',
      reason: 'stalled',
    } as const;
    const crash = { count: 1, exit: { code: 1, signal: null }, version: '1.0.49', output: 'x' };
    await alpha.checkIn('updater', {
      events: [
        alpha.event('updater', { kind: 'release-rolled-back', release }),
        alpha.event('updater', { kind: 'agent-crashed', crash }),
      ],
    });
    const records = [name, 'two'].map((each) => {
      return alpha.event('agent', { kind: 'record', record: { name: each, sha256: manifest } });
    });
    await alpha.checkIn('agent', { events: records });
    await whileStopped(bench, "UPDATE events SET body = ? WHERE role <> 'server' AND body NOT LIKE '%two%'", value);
    expect((await bench.show('alpha')).failedTrial).toBeNull();
    expect((await bench.api('GET', '/api/appliances/alpha/records')).body).toMatchObject({
      records: [{ name: 'two' }],
    });
    expect((await bench.api('GET', '/api/events')).status).toBe(200);
    // What is sent once more under the same id is the one that was there.
    const again = await bench.reconnected(alpha);
    expect((await again.checkIn('agent', { events: records })).stored).toEqual(records.map(({ id }) => id));
  });

  it.each(damage)('of a setting that can be made anew (%j) is made anew', async (value) => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    await whileStopped(
      bench,
      "UPDATE settings SET value = ? WHERE name IN ('metadata-versions', 'signed-up-to-ms')",
      value,
    );
    expect((await bench.server()).notices).toEqual([]);
    expect((await (await bench.reconnected(alpha)).tryCheckIn('updater')).status).toBe(200);
  });
});

const metadataOf = (bench: TestServer) => join(bench.data, 'releases', 'metadata');
const versionShape = z.object({ signed: z.object({ version: z.int() }) });
const versionOf = async (path: string) => versionShape.parse(JSON.parse(await readFile(path, 'utf8'))).signed.version;

describe('damaged metadata on the shelf', () => {
  it.each([
    ['timestamp.json', /^timestamp\.json$/],
    ['the snapshot', /^\d+\.snapshot\.json$/],
    ['all of what is signed online', /^(timestamp|\d+\.snapshot)\.json$/],
  ])('(%s) is set aside and signed anew, above what appliances have seen', async (_, pattern) => {
    const { bench, alpha } = await withFleet();
    await using _bench = bench;
    const timestamp = join(metadataOf(bench), 'timestamp.json');
    const before = await versionOf(timestamp);
    await restart(bench, async () => {
      for (const name of await readdir(metadataOf(bench))) {
        if (pattern.test(name)) await writeFile(join(metadataOf(bench), name), '{"x');
      }
    });
    expect(await versionOf(timestamp)).toBe(before + 1);
    expect((await bench.server()).notices[0]).toMatch(/was set aside$/);
    await bench.publish('1.0.53');
    expect((await (await bench.reconnected(alpha)).tryCheckIn('updater')).status).toBe(200);
  });

  it('(the newest targets, or a root) is set aside; the server runs, and the next publication heals it', async () => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    await restart(bench, async () => {
      for (const name of await readdir(metadataOf(bench))) {
        if (/targets|root/.test(name)) await truncate(join(metadataOf(bench), name), 100);
      }
    });
    expect((await (await bench.reconnected(alpha)).tryCheckIn('updater')).status).toBe(200);
    expect((await bench.server()).notices.join()).toMatch(/1\.root\.json was damaged/);
    expect((await fetch(`${bench.url}/releases/metadata/1.root.json`)).status).toBe(404);
    await bench.publish('1.0.53');
    expect((await fetch(`${bench.url}/releases/metadata/1.root.json`)).status).toBe(200);
    await restart(bench, async () => undefined);
    expect((await bench.server()).notices).toEqual([]);
  });
});

async function refusedStart(bench: TestServer): Promise<string> {
  const main = join(checkoutRoot, 'server-lite', 'main.ts');
  const { exitCode, stderr } = await execa(process.execPath, [main, 'serve', '--data', bench.data], { reject: false });
  expect(exitCode).toBe(1);
  return stderr;
}

describe('what the server can neither do without nor make anew', () => {
  it.each(['keys/answer.pem', 'keys/timestamp.pem'])('(%s) stops it, with the next step', async (name) => {
    await using bench = await TestServer.start();
    await bench.stop();
    await writeFile(join(bench.data, name), 'damaged');
    expect(await refusedStart(bench)).toMatch(/^key-damaged: .*\nNext: holdfast-server restore/);
  });

  it.each(['no database at all', ''])(
    '(server.db as %j) stops it, with the next step; an empty one is a new one',
    async (text) => {
      await using bench = await TestServer.start();
      await bench.stop();
      for (const end of ['-wal', '-shm']) await rm(join(bench.data, `server.db${end}`), { force: true });
      await writeFile(join(bench.data, 'server.db'), text.repeat(500));
      if (text === '') await bench.run();
      else expect(await refusedStart(bench)).toMatch(/^database-damaged: .*\nNext: holdfast-server restore/);
    },
  );

  it('(pages of server.db) stops it, with the next step', async () => {
    const { bench } = await withFleet();
    await using _ = bench;
    await bench.stop();
    const path = join(bench.data, 'server.db');
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0xff, 4096));
    expect(await refusedStart(bench)).toMatch(/^database-damaged: .*\nNext: holdfast-server restore/);
  });

  it('a next key that nobody trusts yet is no such thing: it is set aside, and another one is made', async () => {
    await using bench = await TestServer.start();
    await restart(bench, () => writeFile(join(bench.data, 'keys', 'next-answer.pem'), ''));
    expect((await bench.server()).notices).toEqual([
      expect.stringMatching(/next-answer\.pem was damaged and is kept as/),
    ]);
    expect((await stat(join(bench.data, 'keys', 'next-answer.pem'))).size).toBeGreaterThan(50);
    await bench.publish('1.0.52');
  });
});

describe('a key that is gone', () => {
  it('is made anew, and where appliances know another one that is said, from the first start on', async () => {
    const { bench } = await withFleet();
    await using _ = bench;
    expect((await bench.server()).notices).toEqual([]);
    await restart(bench, () => rm(join(bench.data, 'keys', 'timestamp.pem')));
    const said = (await bench.server()).notices;
    expect(said).toContainEqual(
      expect.stringMatching(/^the server's timestamp key was missing, and a new one was made:/),
    );
    // Signed metadata names another key, so this stays until a new root names this one.
    await restart(bench, async () => undefined);
    expect((await bench.server()).notices).toEqual([expect.stringMatching(/could not be renewed: .* timestamp key/)]);
  });
});

describe('a data directory', () => {
  it('is not given to two servers at a time, and not kept by one that was killed', async () => {
    await using bench = await TestServer.start();
    expect(await refusedStart(bench)).toMatch(/^data-directory-in-use: .*\nNext: stop it first/);
    await restart(bench, () => writeFile(join(bench.data, 'server.lock'), 'x'.repeat(5_000)));
    expect((await bench.server()).notices).toEqual([]);
  });
});
