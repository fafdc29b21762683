import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { makeBackup } from '../../server-lite/backup/make-backup.ts';
import { listenAt } from '../../server-lite/listen-at.ts';
import { listenPolicy } from '../../server-lite/listen-policy.ts';
import { replaceToken } from '../../server-lite/replace-token.ts';
import { TestServer } from '../support/test-server.ts';

/** A data directory in which something else has taken the place of a file. */

const metadataOf = (bench: TestServer) => join(bench.data, 'releases', 'metadata');

async function stopped(version?: string): Promise<TestServer> {
  const bench = await TestServer.start();
  if (version !== undefined) await bench.publish(version);
  await bench.stop();
  return bench;
}

async function refusal(work: () => Promise<unknown>): Promise<{ code: string; message: string; next: string }> {
  return work().then(
    () => ({ code: 'none', message: '', next: '' }),
    ({ code, message, next }) => ({ code, message, next }),
  );
}

function putDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
}

describe('a directory in the place of a file of the server', () => {
  it.each([
    ...['server.db', 'server.db-wal', 'server.db-shm', 'server.db-journal'],
    ...['server.lock', 'server.lock-journal', 'public-keys.json', 'public-keys.json.tmp'],
  ])('(%s) stops the start, which names it and the next step', async (name) => {
    await using bench = await stopped();
    const path = join(bench.data, name);
    putDirectory(path);
    expect(await refusal(() => bench.run())).toEqual({
      code: 'not-a-file',
      message: expect.stringContaining(`${path} is no file`),
      next: expect.stringContaining(`mv ${path} `),
    });
    expect(readdirSync(bench.data)).not.toContain(name === 'public-keys.json' ? 'public-keys.json.tmp' : '');
    rmSync(path, { recursive: true });
    await bench.run();
  });

  it('(a file in the place of a directory) does, too', async () => {
    await using bench = await stopped();
    const path = join(bench.data, 'releases', 'metadata');
    rmSync(path, { recursive: true });
    writeFileSync(path, '');
    expect((await refusal(() => bench.run())).message).toContain(`${path} is no directory`);
  });

  it('is named by the commands on a data directory', async () => {
    await using bench = await stopped();
    putDirectory(join(bench.data, 'server.db-wal'));
    expect((await refusal(() => replaceToken(bench.data, async () => undefined))).code).toBe('not-a-file');
  });

  it.each([/^timestamp\.json$/, /^\d+\.snapshot\.json$/, /^\d+\.targets\.json$/, /^1\.root\.json$/])(
    '(metadata: %s) is set aside like a damaged one, and the next publication heals it',
    async (pattern) => {
      await using bench = await stopped('1.0.49');
      for (const name of readdirSync(metadataOf(bench)).filter((one) => pattern.test(one))) {
        putDirectory(join(metadataOf(bench), name));
        // Also where one was set aside before.
        mkdirSync(join(metadataOf(bench), `damaged-${name}`, 'deep'), { recursive: true });
      }
      await bench.run();
      await bench.publish('1.0.53');
      await bench.stop();
      await bench.run();
      expect((await bench.server()).notices).toEqual([]);
    },
  );
});

describe('release metadata that was signed offline and is damaged', () => {
  it.each([
    ['the root', '1.root.json', 'no appliance can verify'],
    ['the newest targets', null, 'are not offered'],
  ])('(%s) is told with the next step, over restarts, until that is done', async (_what, known, consequence) => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const newest = await bench.build('1.0.52');
    await bench.publish('1.0.52');
    await bench.stop();
    const targets = readdirSync(metadataOf(bench)).filter((name) => /^\d+\.targets/.test(name));
    const name = known ?? targets.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10))[0] ?? '';
    writeFileSync(join(metadataOf(bench), name), '{"x');
    const said = [
      expect.stringMatching(new RegExp(`^${name} was damaged.*${consequence}.*Publish the newest bundle again`)),
    ];
    await bench.run();
    expect((await bench.server()).notices.filter((text) => text.includes(name))).toEqual(said);
    await bench.stop();
    await bench.run();
    expect((await bench.server()).notices.filter((text) => text.includes(name))).toEqual(said);
    expect((await bench.upload(newest.path)).status).toBe(200);
    expect((await bench.server()).notices).toEqual([]);
  });
});

describe('a database that is none any more, beside its log', () => {
  it('(empty) is kept with it under another name, and that is said', async () => {
    await using bench = await stopped();
    const path = join(bench.data, 'server.db');
    writeFileSync(path, '');
    writeFileSync(`${path}-wal`, 'what was changed last');
    await bench.run();
    expect((await bench.server()).notices[0]).toMatch(/missing or empty.* is kept as server\.db\.damaged-1 and /);
    expect(readFileSync(`${path}.damaged-1-wal`, 'utf8')).toBe('what was changed last');
    expect(existsSync(`${path}.damaged-1`)).toBe(true);
  });

  it.each(['rubbish '.repeat(500), ''])('(%j) is left as it is by whatever refuses it', async (text) => {
    await using bench = await stopped();
    const path = join(bench.data, 'server.db');
    renameSync(path, `${path}.whole`);
    writeFileSync(path, text);
    writeFileSync(`${path}-wal`, 'what was changed last');
    const out = join(bench.directory, 'backup');
    const backup = { data: bench.data, out, replace: false, version: '1.0.0', nowMs: Date.now() };
    const ways = [() => replaceToken(bench.data, async () => undefined), () => makeBackup(backup)];
    for (const way of text === '' ? ways : [...ways, () => bench.run()]) {
      expect((await refusal(way)).code).toBe('database-damaged');
      expect([readFileSync(path, 'utf8'), readFileSync(`${path}-wal`, 'utf8')]).toEqual([
        text,
        'what was changed last',
      ]);
    }
  });
});

describe('a backup', () => {
  it.each(['backup', 'releases/backup', '.'])(
    'is not written into the directory whose backup it is (%s)',
    async (place) => {
      await using bench = await stopped();
      const before = readdirSync(bench.data);
      const out = join(bench.data, place);
      const made = refusal(() => makeBackup({ data: bench.data, out, replace: false, version: '1.0.0', nowMs: 0 }));
      expect((await made).code).toBe('backup-inside-data');
      expect(readdirSync(bench.data)).toEqual(before);
    },
  );
});

describe('a database that takes nothing while the server begins to listen', () => {
  it('is not told as the fault of the address', async () => {
    const app = fastify();
    const denied = Object.assign(new Error('attempt to write a readonly database'), { code: 'SQLITE_READONLY' });
    const settings = {
      read: () => null,
      write: () => {
        throw denied;
      },
    };
    const policy = {
      host: '127.0.0.1',
      port: null,
      tls: null,
      publicUrls: [],
      openToThisHost: true,
      trustedProxies: [],
    };
    await expect(listenAt(app, settings, listenPolicy(policy))).rejects.toBe(denied);
    await app.close();
  });
});
