import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { create, extract, list } from 'tar';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { metadataVersionStepMax } from '../../protocol/bounded-step.ts';
import { checkoutRoot } from '../house/checkout.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';

const timestampShape = z.object({
  signed: z.object({ version: z.int(), meta: z.record(z.string(), z.object({ version: z.int() })) }),
});

async function trustedOf(bench: TestServer) {
  const bytes = await (await fetch(`${bench.url}/releases/metadata/timestamp.json`)).text();
  const { signed } = timestampShape.parse(JSON.parse(bytes));
  return { timestamp: signed.version, snapshot: signed.meta['snapshot.json']?.version ?? 0 };
}

/** `holdfast-server …` */
async function holdfastServer(...args: string[]) {
  const main = join(checkoutRoot, 'server-lite', 'main.ts');
  const { exitCode, stdout, stderr } = await execa(process.execPath, [main, ...args], { reject: false });
  return { exitCode, stdout, stderr };
}

/** A running server with one appliance that has sent two events, and its backup. */
async function withBackup() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  const alpha = await bench.appliance('alpha');
  await alpha.checkIn('agent', { events: events(alpha, 2) });
  await bench.rollOut('1.0.49', ['alpha']);
  await bench.api('POST', '/api/claims', { name: 'beta', site: 'Hall 3' });
  const file = join(bench.directory, 'backup.tar');
  const made = await holdfastServer('backup', '--data', bench.data, '--out', file);
  expect(made).toMatchObject({ exitCode: 0, stderr: '' });
  return { bench, alpha, file, made };
}

function events(client: ApplianceClient, count: number) {
  return Array.from({ length: count }, () => client.event('agent', { kind: 'note', text: 'x' }));
}

/** The appliance after the one 409 by which it learns the ceiling of a server that did not stop cleanly. */
async function afterRestore(bench: TestServer, client: ApplianceClient): Promise<ApplianceClient> {
  const again = await bench.reconnected(client);
  const { status, body } = await again.tryCheckIn('agent');
  expect(status).toBe(409);
  again.seq.agent = z.object({ next: z.int() }).parse(body).next - 1;
  return again;
}

const replace = (bench: TestServer, file: string) => {
  return holdfastServer('restore', '--data', bench.data, '--from', file, '--replace', '--json');
};

describe('holdfast-server backup', () => {
  it('writes one file while the server runs, which only its owner can read', async () => {
    const { bench, file, made } = await withBackup();
    await using _ = bench;
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(made.stdout).toMatch(/keep it secret\.\nIt does not hold the bundles of app 1\.0\.49/);
    const names: string[] = [];
    await list({ file, onReadEntry: (entry) => names.push(entry.path) });
    expect(names).toEqual(
      expect.arrayContaining(['backup.json', 'server.db', 'keys/answer.pem', 'releases/metadata/1.root.json']),
    );
    expect(names.filter((name) => /bundles|lock|wal/.test(name))).toEqual([]);
    expect(await readdir(bench.directory)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^\.holdfast-backup/)]),
    );
  });

  it('names the file itself in a directory, and is refused where no server has its data', async () => {
    const { bench } = await withBackup();
    await using _ = bench;
    const out = join(bench.directory, 'backups');
    await mkdir(out);
    expect((await holdfastServer('backup', '--data', bench.data, '--out', out, '--json')).exitCode).toBe(0);
    expect(await readdir(out)).toEqual([expect.stringMatching(/^holdfast-server-\d{4}-\d\d-\d\dT\d{6}Z\.tar$/)]);
    const nowhere = await holdfastServer('backup', '--data', out, '--out', out);
    expect(nowhere).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^no-data: .*\nNext: /) });
  });

  it('writes over no file that is there, unless it is told to', async () => {
    const { bench, file } = await withBackup();
    await using _ = bench;
    const before = await readFile(file);
    const again = (...more: string[]) => holdfastServer('backup', '--data', bench.data, '--out', file, ...more);
    expect(await again()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^backup-exists: .*\nNext: .*--replace/),
    });
    expect((await readFile(file)).equals(before)).toBe(true);
    expect((await again('--replace')).exitCode).toBe(0);
  });
});

describe('holdfast-server restore', () => {
  it('brings the server back elsewhere: the same keys, appliances and token, another epoch, higher metadata', async () => {
    const { bench, alpha, file } = await withBackup();
    await using _ = bench;
    const before = { server: await bench.server(), trusted: await trustedOf(bench) };
    await bench.stop();
    await rm(bench.data, { recursive: true });
    const done = await holdfastServer('restore', '--data', bench.data, '--from', file);
    expect(done).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('Publish these bundles again: app 1.0.49'),
    });
    expect(done.stdout).toContain(`To end it: holdfast-server token --data ${bench.data}`);
    expect(done.stdout).toContain('Rollouts that continue: 1 (app 1.0.49, running); even if they were cancelled since');
    expect(done.stdout).toContain('Claim codes open for: beta; even if they were used or replaced since');
    expect(done.stdout).toContain('Appliances in service: alpha; even if they were retired since');
    await bench.run();
    const server = await bench.server();
    expect(server.epoch).not.toBe(before.server.epoch);
    expect(server.notices.join()).toMatch(/^app 1\.0\.49: no appliance can fetch it.*,this server was restored on /);
    const trusted = await trustedOf(bench);
    expect(trusted.timestamp).toBeGreaterThan(before.trusted.timestamp + metadataVersionStepMax);
    expect(trusted.snapshot).toBeGreaterThan(before.trusted.snapshot + metadataVersionStepMax);
    expect((await (await afterRestore(bench, alpha)).checkIn('agent')).epoch).toBe(server.epoch);
    const again = await bench.upload((await bench.build('1.0.49')).path);
    expect(again).toMatchObject({ status: 200, body: { outcome: 'restored' } });
    expect((await fetch(`${bench.url}/releases/bundles/app-1.0.49.hfb`)).status).toBe(200);
  });

  it('of an older backup: counters are taken, and what is missing is asked for, arrives and is noted', async () => {
    const { bench, alpha, file } = await withBackup();
    await using _ = bench;
    const lost = events(alpha, 5);
    for (const event of lost) await alpha.checkIn('agent', { events: [event] });
    await bench.stop();
    const { exitCode, stdout } = await replace(bench, file);
    expect(exitCode).toBe(0);
    const { keptAs } = z.object({ keptAs: z.string() }).parse(JSON.parse(stdout));
    expect(await readdir(keptAs)).toEqual(expect.arrayContaining(['keys', 'server.db']));
    await bench.run();
    const again = await afterRestore(bench, alpha);
    const next = events(again, 1);
    const answer = await again.checkIn('agent', { events: next });
    expect([answer.stored, answer.offerFrom]).toEqual([next.map(({ id }) => id), 3]);
    await again.checkIn('agent', { events: [...lost, ...next] });
    const noted = JSON.stringify((await bench.api('GET', '/api/events?appliance=alpha')).body);
    expect(noted).toContain('events 3-7 of its agent are missing here');
    expect(noted).toContain('events 3-7 of its agent arrived after all');
  });

  it('is refused while a server runs, on a directory that has data, and for what is no whole backup', async () => {
    const { bench, file } = await withBackup();
    await using _ = bench;
    expect(await replace(bench, file)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^\{"code":"data-directory-in-use",/),
    });
    await bench.stop();
    const restore = (from: string) => holdfastServer('restore', '--data', bench.data, '--from', from);
    expect(await restore(file)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^data-directory-not-empty/),
    });
    const nothing = join(bench.directory, 'nothing.tar');
    expect(await restore(nothing)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^backup-not-found: .*\nNext: /),
    });
    for (const [from, why] of await damagedCopies(bench.directory, file)) {
      const refused = await replace(bench, from);
      expect([from, refused.stderr]).toEqual([from, expect.stringMatching(why)]);
      const told = /^\{"code":"backup-(damaged|not-found)",.*nothing was changed","next":"/;
      expect([from, refused.exitCode, refused.stderr]).toEqual([from, 1, expect.stringMatching(told)]);
    }
    const fresh = join(bench.directory, 'fresh');
    const half = join(bench.directory, 'cut.tar');
    expect((await holdfastServer('restore', '--data', fresh, '--from', half)).exitCode).toBe(1);
    expect(await readdir(bench.directory)).not.toContain('fresh');
    expect((await readdir(bench.data)).filter((name) => /restor/.test(name))).toEqual([]);
    await bench.run();
    expect((await bench.show('alpha')).ackUpto.agent).toBe(2);
  });

  it('that was cut off lets no server start on a half of each, and carries on', async () => {
    const { bench, file } = await withBackup();
    await using _ = bench;
    await bench.stop();
    await mkdir(join(bench.data, 'restoring'));
    await rm(join(bench.data, 'server.db'));
    await expect(bench.run()).rejects.toMatchObject({ code: 'restore-unfinished' });
    expect((await holdfastServer('restore', '--data', bench.data, '--from', file)).exitCode).toBe(0);
    await bench.run();
    expect((await bench.show('alpha')).ackUpto.agent).toBe(2);
  });
});

const noBackup = /"backup-not-found",.* is not a backup of a Holdfast server; .*"next":"name the file that backup/;

/** What is cut, changed, foreign or not there. */
async function damagedCopies(directory: string, file: string): Promise<(readonly [string, RegExp])[]> {
  const bytes = await readFile(file);
  const write = async (name: string, content: Uint8Array) => {
    await writeFile(join(directory, name), content);
    return join(directory, name);
  };
  const changed = Buffer.from(bytes);
  changed.write('X', bytes.indexOf('PRIVATE KEY') + 20);
  const packed = async (name: string, change: (root: string) => Promise<unknown>) => {
    const root = join(directory, name);
    await mkdir(root);
    await extract({ file, cwd: root });
    await change(root);
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const files = entries.filter((one) => one.isFile()).map((one) => relative(root, join(one.parentPath, one.name)));
    await create({ file: `${root}.tar`, cwd: root }, files);
    return `${root}.tar`;
  };
  return [
    [await write('cut.tar', bytes.subarray(0, bytes.length / 2)), /TAR|truncated|cannot be read|missing/],
    [await write('changed.tar', changed), /is another file|not a private key/],
    [await write('text.tar', Buffer.from('no archive at all')), noBackup],
    [await write('empty.tar', Buffer.alloc(0)), noBackup],
    [await write('server.db', await readFile(join(directory, 'data', 'server.db'))), noBackup],
    [await packed('foreign', (root) => writeFile(join(root, 'server.lock'), '')), /server\.lock does not belong/],
    [await packed('less', (root) => rm(join(root, 'keys', 'answer.pem'))), /keys\/answer\.pem is missing/],
    [
      await packed('other', (root) => writeFile(join(root, 'releases', 'metadata', '1.root.json'), '{}')),
      /1\.root\.json is another file/,
    ],
    [
      await packed('more', (root) => writeFile(join(root, 'keys', 'other.pem'), '')),
      /keys\/other\.pem is missing, or was/,
    ],
  ];
}

describe('a database that was put back by hand, with its old epoch', () => {
  it('is found by what an appliance trusts: metadata is signed above that, by a bounded step, and it is said', async () => {
    const { bench, alpha } = await withBackup();
    await using _ = bench;
    const trusted = { snapshot: 5_000, timestamp: 6_000 };
    await alpha.checkIn('updater', { trusted });
    expect(await trustedOf(bench)).toEqual({ snapshot: 5_001, timestamp: 6_001 });
    const { body } = await bench.api('GET', '/api/events?appliance=alpha&kind=server-restored');
    expect(JSON.stringify(body)).toContain(
      'its updater trusts timestamp metadata 6000, and this server has signed at most 1: it was restored',
    );
    // Once a minute at the most, and never far: an appliance may make it up.
    await alpha.checkIn('updater', {
      trusted: { snapshot: Number.MAX_SAFE_INTEGER, timestamp: Number.MAX_SAFE_INTEGER },
    });
    expect(await trustedOf(bench)).toEqual({ snapshot: 5_001, timestamp: 6_001 });
    bench.clock.aheadMs += 60_000;
    await alpha.checkIn('updater', {
      trusted: { snapshot: Number.MAX_SAFE_INTEGER, timestamp: Number.MAX_SAFE_INTEGER },
    });
    expect(await trustedOf(bench)).toEqual({
      snapshot: 5_002 + metadataVersionStepMax,
      timestamp: 6_002 + metadataVersionStepMax,
    });
  });

  it('is signed above for an appliance that needs it, also where another one always makes it up first', async () => {
    const { bench, alpha } = await withBackup();
    await using _ = bench;
    const thief = await bench.appliance('thief');
    const signed = (await trustedOf(bench)).timestamp;
    await thief.checkIn('updater', { trusted: { snapshot: 0, timestamp: signed + 1 } });
    await alpha.checkIn('updater', { trusted: { snapshot: 0, timestamp: signed + 5_000 } });
    expect((await trustedOf(bench)).timestamp).toBe(signed + 5_001);
  });

  it("is not believed of an agent's key", async () => {
    const { bench, alpha } = await withBackup();
    await using _ = bench;
    const before = await trustedOf(bench);
    await alpha.checkIn('agent', { trusted: { snapshot: 5_000, timestamp: 6_000 } });
    expect(await trustedOf(bench)).toEqual(before);
  });

  it('whose metadata files were lost too signs above what the database remembers', async () => {
    const { bench, alpha } = await withBackup();
    await using _ = bench;
    for (let i = 0; i < 3; i += 1) {
      await bench.stop();
      await bench.run();
    }
    const before = await trustedOf(bench);
    await bench.stop();
    await rm(join(bench.data, 'releases', 'metadata'), { recursive: true });
    await bench.run();
    await bench.publish('1.0.52');
    expect((await trustedOf(bench)).timestamp).toBeGreaterThan(before.timestamp);
    expect((await (await bench.reconnected(alpha)).tryCheckIn('updater')).status).toBe(200);
    using database = openServerDatabase(bench.data);
    expect(database.db.prepare("SELECT value FROM settings WHERE name = 'metadata-versions'").get()).toBeDefined();
  });
});
