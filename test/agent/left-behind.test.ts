import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chainHash } from '../../agent/outbox-chain.ts';
import { type AgentRun, TestAppliance, until } from './agent-process.ts';

/** What an earlier agent left in its directories must not keep the next version from serving. */
let appliance: TestAppliance;

beforeEach(async () => {
  appliance = new TestAppliance();
  await appliance.startServer();
});

afterEach(() => appliance.end());

const spoiled = 'x'.repeat(8_192);

function stranger(path: string): void {
  const database = new Sqlite(path);
  database.exec('CREATE TABLE meta (owner TEXT); CREATE TABLE events (owner TEXT); CREATE TABLE readings (owner TEXT)');
  database.close();
}

const leftBehind: Readonly<Record<string, (path: string) => unknown>> = {
  'no database': (path) => writeFileSync(path, spoiled),
  'a database of somebody else': stranger,
  'a link to a file that is not its own': (path) => symlinkSync('/etc/passwd', path),
  'a link that leads nowhere': (path) => symlinkSync('/nowhere/at/all', path),
  'a pipe': (path) => execa('mkfifo', [path]),
  'a directory with something in it': (path) => mkdirSync(join(path, 'in', 'it'), { recursive: true }),
};
const cases = Object.keys(leftBehind).flatMap((what) => (['state', 'outbox'] as const).map((name) => ({ what, name })));

async function serves(): Promise<AgentRun> {
  const run = appliance.run();
  const { progress } = await appliance.healthy();
  await until('readings', async () => ((await appliance.health())?.progress ?? 0) > progress + 2);
  await until('records', () => appliance.server.records().length > 2);
  return run;
}

describe('an agent serves', () => {
  it.each(cases)('where the database of its $name is $what, which it keeps aside', async ({ what, name }) => {
    const path = name === 'state' ? appliance.layout.stateDb : appliance.layout.outboxDb;
    await leftBehind[what]?.(path);
    await serves();
    expect(statSync(path).isFile()).toBe(true);
    expect((await execa('ls', [`${path}.unreadable-1`])).exitCode).toBe(0);
    await until('the note', () => JSON.stringify(appliance.server.requests).includes('unreadable-1'));
  });

  it('where directories stand in the place of what SQLite makes beside its databases', async () => {
    for (const name of ['state.db-shm', 'state.db-journal', 'outbox.db-shm', 'outbox.db-journal'])
      mkdirSync(join(appliance.layout.agent, name, 'taken'), { recursive: true });
    await serves();
  });

  it.each(['a file', 'a directory', 'a link'])('where %s stands in the place of its socket', async (what) => {
    const { agentSocket } = appliance.layout;
    if (what === 'a file') writeFileSync(agentSocket, '');
    else if (what === 'a link') symlinkSync('/etc/passwd', agentSocket);
    else mkdirSync(join(agentSocket, 'in', 'it'), { recursive: true });
    await serves();
  });

  it('where its log is a link: the database without its log is kept aside too', async () => {
    symlinkSync('/etc/passwd', `${appliance.layout.stateDb}-wal`);
    stranger(appliance.layout.stateDb);
    await serves();
    expect(statSync(`${appliance.layout.stateDb}.unreadable-1`).size).toBeGreaterThan(0);
  });
});

describe('an outbox that opens, and is damaged further in', () => {
  it('ends the agent that meets it, and the next start keeps it aside and checks in', async () => {
    const whole = await serves();
    const { outboxDb } = appliance.layout;
    whole.kill('SIGTERM');
    await whole.exit();
    {
      const database = new Sqlite(outboxDb);
      const root = database.prepare<[], { page: number }>(
        "SELECT rootpage AS page FROM sqlite_master WHERE name = 'events_waiting'",
      );
      const size = Number(database.pragma('page_size', { simple: true }));
      const at = ((root.get()?.page ?? 0) - 1) * size;
      database.close();
      const bytes = readFileSync(outboxDb);
      bytes.fill('x', at, at + size);
      writeFileSync(outboxDb, bytes);
    }
    const met = appliance.run();
    expect((await met.exit()).code).not.toBe(0);
    const before = appliance.server.requests.length;
    appliance.run();
    await until('a check-in', () => appliance.server.requests.length > before + 1);
    expect(existsSync(`${outboxDb}.unreadable-1`)).toBe(true);
    await until('the note', () => JSON.stringify(appliance.server.requests).includes('unreadable-1'));
  });
});

/** A state of this agent with some readings, and then another number in it. */
async function numbered(schema: number): Promise<void> {
  const run = appliance.run();
  const { progress } = await appliance.healthy();
  await until('readings', async () => ((await appliance.health())?.progress ?? 0) > progress + 2);
  run.kill('SIGTERM');
  await run.exit();
  const database = new Sqlite(appliance.layout.stateDb);
  database.prepare('UPDATE meta SET schema = ?').run(schema);
  database.close();
  forgetOpener();
}

/** As if another version had opened the state last. */
function forgetOpener(): void {
  const database = new Sqlite(appliance.layout.outboxDb);
  database.exec("DELETE FROM words WHERE name = 'state-opened'");
  database.close();
}

function startedWith(about: Partial<typeof appliance.start>): void {
  appliance.start = { ...appliance.start, ...about };
  appliance.writeStart();
}

const stateBytes = () => readFileSync(appliance.layout.stateDb);
const kept = () => `${appliance.layout.stateDb}.unreadable-1`;

describe('a number in its state that is above all that a version here can have written', () => {
  it.each([2 ** 31, 2 ** 53, -1])('keeps no version out: what has %d is kept aside', async (schema) => {
    await numbered(schema);
    const before = stateBytes();
    startedWith({ stateSchemaMax: 4 });
    await serves();
    expect(readFileSync(kept()).equals(before)).toBe(true);
    await until('the note', () => JSON.stringify(appliance.server.requests).includes('unreadable-1'));
  });

  it.each([
    ['not above it', { stateSchemaMax: 2 }],
    ['and nobody knows what a version here can have written', {}],
  ])('is a newer state where it is %s: this version refuses it, and leaves it as it is', async (_, about) => {
    await numbered(2);
    const before = stateBytes();
    startedWith(about);
    const run = appliance.run();
    expect(await run.exit()).toEqual({ code: 78, signal: null });
    expect(run.stderr).toContain('(state-too-new)');
    expect(stateBytes().equals(before)).toBe(true);
  });

  it('ends the trial of the version that wrote it', async () => {
    startedWith({ stateSchemaMax: 1, trialTx: 7 });
    const run = appliance.run();
    await appliance.healthy();
    const database = new Sqlite(appliance.layout.stateDb);
    database.prepare('UPDATE meta SET schema = ?').run(2 ** 31);
    database.close();
    run.kill('SIGTERM');
    await run.exit();
    const again = appliance.run();
    expect(await again.exit()).toEqual({ code: 78, signal: null });
    expect(again.stderr).toContain('(state-unreadable)');
    expect(existsSync(kept())).toBe(false);
  });
});

/** A version opened the state, and left it so that nobody can read it. */
async function openedAndSpoiled(): Promise<void> {
  const run = appliance.run();
  await appliance.healthy();
  run.kill('SIGKILL');
  await run.exit();
  for (const end of ['-wal', '-shm']) rmSync(`${appliance.layout.stateDb}${end}`, { force: true });
  writeFileSync(appliance.layout.stateDb, spoiled);
}

describe('what is kept aside', () => {
  it('is also what came back after an earlier trial of this version: its next trial is not kept out by it', async () => {
    startedWith({ trialTx: 7 });
    await openedAndSpoiled();
    startedWith({ trialTx: 9 });
    await serves();
    expect(readFileSync(kept(), 'utf8')).toBe(spoiled);
  });

  it('is nothing that a step of a migration fails on: that release is at fault, not the state', async () => {
    const database = new Sqlite(appliance.layout.stateDb);
    // The step that makes the table finds an index of its name.
    database.exec('CREATE TABLE other (n INTEGER); CREATE INDEX readings ON other (n)');
    database.close();
    const run = appliance.run();
    expect((await run.exit()).code).not.toBe(0);
    expect((await execa('ls', [appliance.layout.agent])).stdout).not.toContain('unreadable');
  });

  it('is never what this very version had opened: a trial that spoils the state must end', async () => {
    await openedAndSpoiled();
    const again = appliance.run();
    expect(await again.exit()).toEqual({ code: 78, signal: null });
    expect(again.stderr).toContain('(state-unreadable)');
    expect(readFileSync(appliance.layout.stateDb, 'utf8')).toBe(spoiled);
  });

  it('is three outboxes at the most', async () => {
    for (let i = 1; i <= 5; i += 1) {
      for (const end of ['-wal', '-shm']) rmSync(`${appliance.layout.outboxDb}${end}`, { force: true });
      writeFileSync(appliance.layout.outboxDb, `${i}${spoiled}`);
      const run = appliance.run();
      await until('a check-in', async () => (await appliance.health())?.server === 'ok');
      run.kill('SIGKILL');
      await run.exit();
    }
    const { stdout } = await execa('ls', [appliance.layout.agent]);
    expect(stdout.split('\n').filter((name) => /unreadable-\d$/.test(name))).toHaveLength(3);
    expect(readFileSync(`${appliance.layout.outboxDb}.unreadable-1`, 'utf8')).toBe(`5${spoiled}`);
  });
});

describe('a new outbox of an appliance that the server knows', () => {
  it('goes on after the numbers that the server has, as one chain, and loses no record', async () => {
    await serves();
    const [run] = appliance.runs;
    run?.kill('SIGKILL');
    await run?.exit();
    const before = appliance.server.records().length;
    for (const end of ['', '-wal', '-shm']) rmSync(`${appliance.layout.outboxDb}${end}`, { force: true });
    appliance.run();
    await until('more records', () => appliance.server.records().length > before + 3 && appliance.server.contiguous());
    const database = new Sqlite(appliance.layout.outboxDb, { readonly: true });
    const rows = database
      .prepare<[], { n: number; body: string; prev: string; hash: string }>('SELECT * FROM events ORDER BY n')
      .all();
    database.close();
    expect(rows[0]?.n).toBeGreaterThan(1);
    for (const [index, row] of rows.entries()) {
      expect(JSON.parse(row.body).n).toBe(row.n);
      expect(row.hash).toBe(chainHash(row.prev, row.body));
      if (index > 0) expect([row.n, row.prev]).toEqual([(rows[0]?.n ?? 0) + index, rows[index - 1]?.hash]);
    }
  });
});
