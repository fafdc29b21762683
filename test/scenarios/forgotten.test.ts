import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, historyOf, makeWorld, paceS, told, untilOf } from './scene.ts';

/**
 * Either side forgets: a server gets yesterday's database back and keeps its epoch, an appliance gets yesterday's disk
 * back, a server begins anew with the same keys. Evidence goes on arriving.
 */

const world = makeWorld();
let box: ApplianceBox;
let bad: Built;
const name = 'ledger';
const port = () => Number(new URL(world.server.url).port);
const databases = ['', '-wal', '-shm'];

/** What the agent wrote down as handed in: names of records, oldest first. */
function recordsOf({ layout }: ApplianceBox): string[] {
  const database = new Sqlite(layout.outboxDb, { readonly: true });
  try {
    const rows = database.prepare<[], { record: string }>(
      'SELECT record FROM events WHERE record IS NOT NULL ORDER BY n',
    );
    return rows.all().map(({ record }) => record);
  } finally {
    database.close();
  }
}

async function records(count: number): Promise<string[]> {
  return until(`${count} records`, comesWithinMs, async () => {
    const found = (await world.server.records(name)).map((record) => record.name);
    return found.length >= count ? found : null;
  });
}

function rolledBack(count: number) {
  return until(`${count} releases are reported as rolled back`, comesWithinMs, async () => {
    const found = await world.server.events(name, 'release-rolled-back');
    return found.length >= count ? found : null;
  });
}

const databasePath = () => join(world.server.dir, 'server.db');

/** The files of a database that nobody has open. */
function putFiles(from: string, to: string): void {
  for (const end of databases) {
    rmSync(`${to}${end}`, { force: true });
    if (existsSync(`${from}${end}`)) cpSync(`${from}${end}`, `${to}${end}`);
  }
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const trial = { healthyMs: 4_000, deadlineMs: patienceMs };
  box = await world.addAppliance(name, { trial, settings: { sampleMs: 100 } });
  await box.powerOn();
  bad = await world.builder.app('1.0.53');
  await world.publish(bad);
});

afterAll(() => endWorld(world));

describe('a server whose database of before is put back, with its epoch', () => {
  const backup = join(world.dir, 'backup.db');

  it('gets again what it forgot, and everything after it', async () => {
    await records(5);
    await world.server.stop();
    putFiles(databasePath(), backup);
    const before = (await startedAgain()).length;
    const forgotten = await records(before + 8);
    await world.server.stop();
    putFiles(backup, databasePath());
    await startedAgain();
    await until('what was forgotten comes again', comesWithinMs, async () => {
      const here = (await world.server.records(name)).map((record) => record.name);
      return forgotten.every((record) => here.includes(record)) ? here : null;
    });
    const [last] = recordsOf(box).slice(-1);
    await until('what was made since arrives', comesWithinMs, async () => {
      const here = (await world.server.records(name)).map((record) => record.name);
      return last !== undefined && here.includes(last) ? here : null;
    });
    const notes = await until('both sides say so', comesWithinMs, async () => {
      const found = (await world.server.events(name, 'note')).filter(({ text }) => text.includes('offered again'));
      return found.length > 0 ? found : null;
    });
    expect(notes.map(({ role }) => role)).toContain('agent');
  });
});

/** @returns the records that it has then */
async function startedAgain(): Promise<string[]> {
  await world.server.start(port(), paceS);
  return (await world.server.records(name)).map((record) => record.name);
}

describe('an appliance whose disk of before is put back', () => {
  it('has each outcome told to the server, though transactions have the numbers of before', async () => {
    const disk = join(world.dir, 'disk');
    await box.powerOff();
    await execa('cp', ['-a', box.options.root, disk]);
    await box.powerOn();
    await world.server.startRollout(bad.version, [name]);
    await rolledBack(1);
    expect(told(await historyOf(box, 1))).toEqual([expect.stringContaining('1.0.49 -> 1.0.53 rolled-back')]);
    await box.powerOff();
    rmSync(box.options.root, { recursive: true });
    await execa('cp', ['-a', disk, box.options.root]);
    await box.powerOn();
    const worse = await world.builder.app('1.0.55');
    await world.publish(worse);
    await world.server.startRollout(worse.version, [name]);
    const reports = await rolledBack(2);
    const of = (version: string) => reports.filter(({ text }) => text.includes(version));
    expect([of(bad.version).length, of(worse.version).length]).toEqual([1, 1]);
    const rollout = (await world.server.rollouts()).find(({ version }) => version === worse.version);
    expect(rollout?.state).toBe('paused');
  });
});

describe('a server that began anew with the same keys', () => {
  it('takes the same appliance with a new claim, with all that waited', async () => {
    const waiting = recordsOf(box).at(-1) ?? '';
    await world.server.stop();
    for (const end of databases) rmSync(`${databasePath()}${end}`, { force: true });
    await world.server.start(port(), paceS);
    const id = box.id;
    await box.setUp(world.server.url, await world.server.claim(name, 'harbour'));
    expect(box.id).toBe(id);
    await until('what waited arrives', comesWithinMs, async () => {
      const here = (await world.server.records(name)).map((record) => record.name);
      return here.includes(waiting) ? here : null;
    });
    expect(JSON.parse(readFileSync(box.layout.identity, 'utf8'))).toMatchObject({ appliance: id });
    await untilOf(box, 'checks in with its updater', async () =>
      (await world.server.appliance(name)).checkIns.updater === null ? null : true,
    );
  });
});
