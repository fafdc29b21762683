import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { processesOf } from '../../../image/development/supervisor/processes-of.ts';
import { Unit, type UnitSpec } from '../../../image/development/supervisor/unit.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { supervisorControl } from '../../../updater/processes/supervisor-control.ts';
import { patienceMs, until as seen } from '../../support/world/wait.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});

/** A unit that runs one line of JavaScript and is stopped with the test. */
function unit(script: string, changes: Partial<UnitSpec> = {}): Unit & { failures: () => number } {
  let failures = 0;
  const made = new Unit(
    {
      name: 'agent',
      before: null,
      command: [process.execPath, '-e', script],
      user: null,
      restart: 'always',
      restartAfterMs: 1_000,
      limits: null,
      burst: null,
      stopMs: 300,
      logFile: join(layout.root, 'agent.log'),
      ...changes,
    },
    () => {
      failures += 1;
    },
  );
  onTestFinished(() => made.stop());
  return Object.assign(made, { failures: () => failures });
}

async function until(what: string, isThere: () => boolean): Promise<void> {
  await seen(what, patienceMs, () => (isThere() ? true : null));
}

/** Until another unit, which goes on, has crashed some times more: what was to happen meanwhile has happened. */
async function othersCrash(restartAfterMs: number): Promise<void> {
  const other = unit('process.exit(1)', { name: 'other', restartAfterMs, logFile: join(layout.root, 'other.log') });
  other.start();
  await until('other crashes', () => other.crashes >= 3);
  await other.stop();
}

const log = () =>
  existsSync(join(layout.root, 'agent.log')) ? readFileSync(join(layout.root, 'agent.log'), 'utf8') : '';
const forever = 'setInterval(() => {}, 1000); console.log("alive")';

describe('a unit', () => {
  it('goes on where what it says finds no room on the disk', async () => {
    const place = join(layout.root, 'alive');
    const loud = `console.log("x".repeat(1000)); require("fs").writeFileSync(${JSON.stringify(place)}, ""); ${forever}`;
    // It takes every open, and refuses every byte, as a full disk does.
    const agent = unit(loud, { logFile: '/dev/full' });
    agent.start();
    await until('it has said something', () => existsSync(place));
    await othersCrash(50);
    expect(agent).toMatchObject({ state: 'active', crashes: 0 });
  });

  it('that is stopped is gone with all that it started, though both ignore the order to end', async () => {
    const deaf = `process.on("SIGTERM", () => console.log("no")); ${forever}`;
    const parent = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(deaf)}], { stdio: "inherit" }); ${deaf}`;
    const agent = unit(parent);
    agent.start();
    await until('two processes', () => log().split('alive').length === 3);
    const pgid = agent.pid ?? 0;
    expect(processesOf({ by: 'group', pgid })).toHaveLength(2);
    await agent.stop();
    expect(processesOf({ by: 'group', pgid })).toEqual([]);
    expect(agent).toMatchObject({ state: 'inactive', pid: null, crashes: 0 });
  });

  it('that ends in its time when asked to is not killed', async () => {
    const agent = unit(`process.on("SIGTERM", () => { console.log("bye"); process.exit(0); }); ${forever}`, {
      stopMs: patienceMs,
    });
    agent.start();
    await until('start', () => log().includes('alive'));
    await agent.stop();
    expect(log()).toContain('bye');
    expect(agent.lastExit).toEqual({ code: 0, signal: null });
  });

  it('takes what its process leaves behind with it', async () => {
    const orphan = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(forever)}], { stdio: "inherit" }); setInterval(() => require("fs").existsSync(${JSON.stringify(join(layout.root, 'end'))}) && process.exit(1), 20)`;
    const agent = unit(orphan, { restartAfterMs: patienceMs });
    agent.start();
    await until('what it starts', () => log().includes('alive'));
    const pgid = agent.pid ?? 0;
    writeFileSync(join(layout.root, 'end'), '');
    await until('end', () => agent.state === 'waiting');
    await until('nothing left', () => processesOf({ by: 'group', pgid }).length === 0);
  });

  it('is started again after a second, and its crashes are counted with their last output', async () => {
    const agent = unit('console.error("it broke here", Number(process.hrtime.bigint()) / 1e6); process.exit(3)');
    agent.start();
    await until('two crashes', () => agent.crashes >= 2);
    // By the clock of the processes themselves.
    const [first = 0, second = 0] = [...log().matchAll(/it broke here ([\d.]+)/g)].map(([, ms]) => Number(ms));
    expect(second - first).toBeGreaterThan(999);
    await until('output', () => agent.lastOutput.includes('it broke here'));
    expect(agent.lastExit).toEqual({ code: 3, signal: null });
  });

  it('has failed after its burst, once, and starts again only when it is told to', async () => {
    const agent = unit('process.exit(1)', { restartAfterMs: 10, burst: { starts: 3, intervalMs: patienceMs } });
    agent.start();
    await until('failure', () => agent.state === 'failed');
    expect(agent.crashes).toBe(3);
    await othersCrash(10);
    expect(agent).toMatchObject({ state: 'failed', crashes: 3 });
    expect(agent.failures()).toBe(1);
    agent.start();
    await until('second failure', () => agent.failures() === 2);
    expect(agent.crashes).toBe(6);
  });

  it('does not start when what goes before refuses, and that is no crash', async () => {
    const agent = unit(forever, { before: [process.execPath, '-e', 'process.exit(75)'], restartAfterMs: patienceMs });
    agent.start();
    await until('refusal', () => agent.lastExit?.code === 75);
    expect(agent).toMatchObject({ state: 'waiting', crashes: 0, pid: null });
    expect(log()).not.toContain('alive');
  });

  it('can be stopped while it waits for its restart', async () => {
    const agent = unit('process.exit(1)', { restartAfterMs: 50 });
    agent.start();
    await until('crash', () => agent.state === 'waiting');
    await agent.stop();
    const { crashes } = agent;
    await othersCrash(50);
    expect(agent).toMatchObject({ state: 'inactive', crashes });
  });

  it('that cannot be executed at all is reported like a crash', async () => {
    writeFileSync(join(layout.root, 'no-program'), 'x', { mode: 0o644 });
    const agent = unit('', { command: [join(layout.root, 'no-program')], restartAfterMs: patienceMs });
    agent.start();
    await until('end', () => agent.lastExit !== null);
    expect(agent.lastExit).toEqual({ code: 203, signal: null });
  });
});

describe('process control by a supervisor', () => {
  /** Listens as a supervisor would and answers with one text. */
  async function supervisor(answer: string): Promise<{ socket: string; asked: string[] }> {
    const socket = join(layout.root, 'control.sock');
    const asked: string[] = [];
    const server = createServer({ allowHalfOpen: true }, (client) => {
      client.on('error', () => client.destroy());
      client.on('data', (bytes: Buffer) => asked.push(bytes.toString()));
      client.on('end', () => client.end(answer));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    onTestFinished(() => void server.close());
    return { socket, asked };
  }
  const facts = { state: 'active', pid: 7, crashes: 2, lastExit: { code: 1, signal: null }, lastOutput: 'x' };

  it('sends one line for each order and reads the facts', async () => {
    const { socket, asked } = await supervisor(JSON.stringify({ ok: true, agent: facts }));
    const control = supervisorControl(socket, 'none');
    expect(await control.agent()).toEqual(facts);
    await control.startAgent();
    await control.stopAgent();
    await control.requestRun();
    expect(asked.map((line) => JSON.parse(line).op)).toEqual(['agent', 'start-agent', 'stop-agent', 'run-updater']);
  });

  it('names an agent that could not be stopped', async () => {
    const { socket } = await supervisor(JSON.stringify({ ok: false, code: 'agent-not-gone', message: 'pid 7 stays' }));
    await expect(supervisorControl(socket, 'none').stopAgent()).rejects.toMatchObject({ code: 'agent-not-gone' });
  });

  it.each([
    ['a refusal', JSON.stringify({ ok: false, code: 'failed' }), 'process-control-refused'],
    ['facts without an agent', JSON.stringify({ ok: true }), 'process-control-refused'],
    ['no JSON', 'yes', 'process-control-unreachable'],
    ['nothing', '', 'process-control-unreachable'],
    ['more than an answer is', 'x'.repeat(200 * 1024), 'process-control-unreachable'],
  ])('names what is wrong with the answer: %s', async (_what, answer, code) => {
    const { socket } = await supervisor(answer);
    await expect(supervisorControl(socket, 'none').agent()).rejects.toMatchObject({ code });
  });

  it('names a supervisor that is not there', async () => {
    const control = supervisorControl(join(layout.root, 'nobody.sock'), 'none');
    await expect(control.agent()).rejects.toMatchObject({ code: 'process-control-unreachable' });
  });
});
