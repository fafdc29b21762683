import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Plan } from '../../updater/commands/plan/plan.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, patient, trialOf } from './scene.ts';

/** What `plan` says, against what then really happens on the same appliance, which nothing but this test makes run. */
const world = makeWorld();
const dayMs = 86_400_000;
let box: ApplianceBox;
let first: Built;
let second: Built;
beforeAll(async () => {
  await world.found('1.0.52', paceS);
  first = await world.builder.unpatched('2.0.0');
  second = await world.builder.unpatched('2.0.1');
  await world.publish(first, second);
  box = await world.addAppliance('ash', {
    timerMs: dayMs,
    trial: trialOf(300),
    settings: patient,
  });
  await box.powerOn();
  await until('the first check-in', comesWithinMs, async () => (await box.status()).checkIn.last);
});
afterAll(() => endWorld(world));

/** The real program, by itself. */
async function updater(...words: string[]): Promise<string> {
  const { os, root } = box.options;
  const program = [join(os, 'updater', 'main.js'), ...words, '--root', root];
  return (await execa(join(os, 'node'), program, { reject: false })).stdout;
}

const planned = async (...words: string[]): Promise<Plan> => JSON.parse(await updater('plan', ...words, '--json'));
const rowsOf = (log: string) => [...log.matchAll(/^\d\S* \w+ -> (\w+)/gm)].map(([, row]) => row);
const rows = ({ steps }: Plan) => steps.map(({ row }) => row);

/** Bytes of the release's own files: not of what seals and marks the slot. */
function bytesIn(directory: string): number {
  const own = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => !name.startsWith('.'));
  const sizes = own.map((name) => (name === 'manifest.json' ? null : statSync(join(directory, name))));
  return sizes.reduce((sum, facts) => sum + (facts?.isFile() === true ? facts.size : 0), 0);
}

async function runToTheEnd(): Promise<string> {
  let log = '';
  await until('the update has ended', comesWithinMs, async () => {
    log += await updater('run');
    return (await box.status()).row === 'idle' && log.includes('committing -> idle') ? true : null;
  });
  return log;
}

/** A request starts the updater by itself; what it says is in its own log. */
async function rowsOfRequest(...words: string[]): Promise<(string | undefined)[]> {
  const log = join(box.config.logs, 'updater.log');
  const said = readFileSync(log, 'utf8').length;
  await updater(...words);
  return rowsOf(readFileSync(log, 'utf8').slice(said));
}

describe('a plan is what then happens', () => {
  it('for the release that the server wants: rows, slot, bytes that are fetched and written', async () => {
    // What the next answer will say, said before, so that there is time between the plan and its doing.
    const answer = join(box.layout.run, 'last-answer.json');
    const known = JSON.parse(readFileSync(answer, 'utf8'));
    const release = { component: 'app', version: '2.0.0', manifest: first.manifest };
    const desired = { release, path: '/releases', openForS: 3_600, reasons: [] };
    writeFileSync(answer, JSON.stringify({ ...known, desired }));
    const plan = await planned();
    expect(plan).toMatchObject({
      outcome: 'plan',
      downtime: { expectedMs: null, measured: 0 },
      trial: { shortened: true },
    });
    await world.server.startRollout('2.0.0', ['ash']);
    const log = await runToTheEnd();
    expect(rowsOf(log)).toEqual([...rows(plan), 'idle']);
    expect(Number(/(\d+) bytes fetched/.exec(log)?.[1])).toBe(plan.bytes?.toFetch);
    const { slots } = await box.status();
    const slot = slots.find((one) => one.component === 'app' && wordOf(one.role) === 'committed')?.slot;
    expect(plan.steps.find(({ row }) => row === 'writing')?.slot).toBe(slot);
    expect(bytesIn(box.layout.slot('app', String(slot)))).toBe(plan.bytes?.written);
  });

  it('for a file: nothing is fetched, what is here is reused, and the downtime is that of the switch before', async () => {
    const plan = await planned(second.path);
    const [line] = (await box.status()).transactions;
    expect(plan).toMatchObject({
      outcome: 'plan',
      bytes: { toFetch: 0 },
      downtime: { expectedMs: line?.downMs, measured: 1 },
    });
    expect(plan.bytes?.reused).toBeGreaterThan(0);
    expect(await rowsOfRequest('install', second.path)).toEqual([...rows(plan), 'idle']);
  });

  it('for going back: the slot that is there, the state that is copied, and nothing fetched', async () => {
    const plan = await planned('--rollback');
    expect(plan).toMatchObject({
      outcome: 'plan',
      release: { version: '2.0.0', from: '2.0.1' },
      bytes: { toFetch: 0, written: 0 },
      downtime: { measured: 2 },
    });
    expect(await rowsOfRequest('rollback')).toEqual([...rows(plan), 'idle']);
    const { agent, slots } = await box.status();
    expect(agent.version).toBe('2.0.0');
    const slot = slots.find((one) => one.component === 'app' && wordOf(one.role) === 'committed')?.slot;
    expect(new Set(plan.steps.map((step) => step.slot))).toEqual(new Set([slot]));
  });

  it('and then there is nothing to do', async () => {
    const { exitCode, stdout } = await execa(join(world.os, 'node'), [
      join(world.os, 'updater', 'main.js'),
      'plan',
      '--root',
      box.options.root,
    ]);
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('Nothing to do')]);
  });
});
