import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { putAsideDirectory } from '../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { loadState, saveState } from '../../updater/record/state-store.ts';
import { crashLoop } from '../../updater/verdict/rescue.ts';
import { highestOf } from '../story/checks.ts';
import type { ReadingsSeen } from '../story/observations.ts';
import { acknowledged, readings, whyOf } from '../story/outside.ts';
import { dataCase } from '../support/killing/kill-cases.ts';
import { Killing } from '../support/killing/killing.ts';
import { askUpdater, lostEvents, stateOf, wakeUpdater } from '../support/killing/look.ts';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { comesWithinMs, committed, endWorld, makeWorld, paceS, told } from './scene.ts';

/**
 * Days after their commit: 1.0.66 crashes at each start from some day on, or hangs, and 1.0.65, which made a table of its own, is not
 * wanted any more.
 */
const world = makeWorld();
const trial = { healthyMs: 500, deadlineMs: patienceMs };
const dayMs = 24 * 60 * 60_000;
const [loop, data, hung] = ['loop', 'data', 'hung'];
const boxes = new Map<string, ApplianceBox>();
let [crashing, rewriting]: Built[] = [];

function boxOf(name: string): ApplianceBox {
  const box = boxes.get(name);
  if (box === undefined) throw new RangeError(`${name} is not set up`);
  return box;
}

async function addBox(name: string, settings: object = {}): Promise<ApplianceBox> {
  const box = await world.addAppliance(name, { timerMs: 1_000, trial, settings: { sampleMs: 100, ...settings } });
  boxes.set(name, box);
  await box.powerOn();
  return box;
}

/** At rest as a version that answers. Bursts take time. */
function comesBack(box: ApplianceBox, version: string) {
  return until(`${box.options.name} serves ${version}`, comesWithinMs, async () => {
    const status = await box.status();
    return status.row === 'idle' && status.agent.version === version ? status : null;
  });
}

async function readingsOf(name: string): Promise<ReadingsSeen> {
  const records = await until(`${name} has acknowledged rows`, comesWithinMs, async () => {
    const found = await acknowledged(world, name);
    return found.length > 3 ? found : null;
  });
  return readings(world, name, highestOf(records));
}

const refusalShape = z.object({ code: z.string(), message: z.string() });

/** What the command line says to somebody whom it refuses. */
async function refusal(box: ApplianceBox, args: readonly string[]): Promise<z.infer<typeof refusalShape>> {
  const { os, root } = box.options;
  const words = [join(os, 'updater', 'main.js'), ...args, '--json', '--root', root];
  const { stderr, exitCode } = await execa(join(os, 'node'), words, { reject: false });
  expect(exitCode).toBe(1);
  return refusalShape.parse(JSON.parse(stderr));
}

function counterOf(box: ApplianceBox, name: string): number {
  const database = readOnlyDatabase(box.layout.outboxDb);
  try {
    return Number(database.prepare('SELECT value FROM counters WHERE name = ?').get(name)?.value);
  } finally {
    database.close();
  }
}

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  await addBox(loop);
  crashing = await world.builder.app('1.0.66');
  await world.publish(crashing);
  rewriting = await world.builder.app('1.0.65');
  await world.publish(rewriting);
});

afterAll(() => endWorld(world));

describe('an agent that crash-loops days after its commit', () => {
  it('is left for the version before by itself, with the data of today, and its rollout stops for all', async () => {
    const box = boxOf(loop);
    await world.server.startRollout('1.0.66', [loop]);
    await committed(world, loop, '1.0.66');
    await comesBack(box, '1.0.66');
    const before = await readingsOf(loop);
    writeFileSync(join(box.layout.agent, 'fault'), '');
    const status = await comesBack(box, '1.0.52');
    expect(told(status.transactions)).toEqual(['1.0.52 -> 1.0.66 committed', '1.0.66 -> 1.0.52 committed crash-loop']);
    expect(status.quarantine).toMatchObject([{ version: '1.0.66', reason: 'trial', verdict: 'crash-loop' }]);
    expect(await readings(world, loop, before.upTo)).toEqual(before);
    const told91 = await until('the server hears of it', comesWithinMs, async () => {
      const [event] = await world.server.events(loop, 'release-rolled-back');
      return event ?? null;
    });
    expect(told91.text).toContain('1.0.66 was left after its commit');
    const [rollout] = await world.server.rollouts();
    expect(rollout).toMatchObject({ version: '1.0.66', state: 'paused' });
    expect(await whyOf(box)).toMatch(/^1\.0\.52 runs: 1\.0\.66 was rolled back, because it crashed/);
  });
});

describe('going back by hand after five days, to a version that cannot read the data', () => {
  let before: ReadingsSeen;
  let upTo: number;
  let counter: number;

  beforeAll(async () => {
    // Now, when no rollout is under way any more: this is about what a person does.
    const box = await addBox(data);
    before = await readingsOf(data);
    if (rewriting === undefined) throw new Error('1.0.65 was not built');
    await box.updaterProgram(['install', rewriting.path]);
    await comesBack(box, '1.0.65');
    // Five days of running pass.
    await box.powerOff();
    saveState(realFiles, box.layout, { ...loadState(realFiles, box.layout), windowUsedMs: 5 * dayMs });
    await box.powerOn();
    await comesBack(box, '1.0.65');
    upTo = highestOf(await acknowledged(world, data));
    expect((await readings(world, data, upTo)).count).toBeGreaterThan(before.count);
    counter = counterOf(box, 'reading');
  });

  it('tells the person first, on page and command line, and does nothing', async () => {
    const box = boxOf(data);
    const { back } = await box.status();
    expect(back).toMatchObject({ version: '1.0.52', refused: { code: 'state-not-readable' }, data: { ageH: 120 } });
    expect(back?.refused?.text).toContain('is 5d of running old');
    expect(await refusal(box, ['rollback'])).toMatchObject({
      code: 'state-not-readable',
      message: back?.refused?.text,
    });
    expect(await refusal(box, ['rollback', '--data-age', '4d'])).toMatchObject({ code: 'data-age' });
    expect(told((await box.status()).transactions)).toEqual(['1.0.52 -> 1.0.65 committed']);
  });

  it('does it for who names the age, however often the updater is killed meanwhile; today is put aside, and nothing else goes back', async () => {
    const box = boxOf(data);
    const killing = await Killing.start(box, dataCase.deaths);
    askUpdater(box, { kind: 'rollback', data: { tx: stateOf(box).lastTx, ageH: 120 } });
    await killing.killed();
    expect(stateOf(box).row).toBe('returning');
    wakeUpdater(box);
    const status = await comesBack(box, '1.0.52');
    expect(told(status.transactions)).toEqual(['1.0.52 -> 1.0.65 committed', '1.0.65 -> 1.0.52 committed']);
    expect(await readings(world, data, before.upTo)).toEqual(before);
    expect((await readings(world, data, upTo)).count).toBeLessThan(upTo);
    const aside = putAsideDirectory(box.layout, 1);
    const database = readOnlyDatabase(join(aside, 'state.db'));
    expect(database.prepare('SELECT schema FROM meta').get()).toEqual({ schema: 2 });
    expect(Number(database.prepare('SELECT max(n) AS n FROM readings').get()?.n)).toBeGreaterThanOrEqual(upTo);
    database.close();
    expect(await whyOf(box)).toContain(`The data that was put aside is kept in ${aside}`);
    // No number is used twice, and nothing that was reported is lost.
    await until('it goes on', comesWithinMs, () => (counterOf(box, 'reading') > counter + 2 ? true : null));
    const names = (await acknowledged(world, data)).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(await lostEvents(world, data, 'agent')).toEqual([]);
  });
});

describe('an agent that hangs days after its commit', () => {
  const isStopped = (pid: number) => / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

  /** The process stands still at once, and process control goes on calling it active. @returns its process id */
  async function hang(box: ApplianceBox, beside: readonly number[]): Promise<number> {
    const pid = await until('another start of it works', comesWithinMs, async () => {
      const { agent, verdict } = await box.status();
      return agent.pid !== null && !beside.includes(agent.pid) && verdict.word === 'ok' ? agent.pid : null;
    });
    process.kill(pid, 'SIGSTOP');
    await until('it stands still', comesWithinMs, () => (isStopped(pid) ? true : null));
    return pid;
  }

  it('is ended and started again, and left for the version before when that was for nothing; nothing is lost', async () => {
    // Hung after eight seconds.
    const box = await addBox(hung, { stallMs: 2_000, answerMs: 3_000 });
    if (crashing === undefined) throw new Error('1.0.66 was not built');
    await box.updaterProgram(['install', crashing.path]);
    await comesBack(box, '1.0.66');
    const before = await readingsOf(hung);
    const pids = [await hang(box, [])];
    const said = await until('it is said', comesWithinMs, async () => {
      const { why, verdict } = await box.status();
      return why.includes('has not answered') ? { why, word: verdict.word } : null;
    });
    expect(said).toMatchObject({
      word: 'blocked',
      why: expect.stringMatching(/^1\.0\.66 runs, but has not answered/),
    });
    while (pids.length < crashLoop.bursts) pids.push(await hang(box, pids));
    const status = await comesBack(box, '1.0.52');
    expect(told(status.transactions)).toEqual(['1.0.52 -> 1.0.66 committed', '1.0.66 -> 1.0.52 committed crash-loop']);
    expect(status.agent.crashes).toBe(0);
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(await readings(world, hung, before.upTo)).toEqual(before);
    expect(await lostEvents(world, hung, 'agent')).toEqual([]);
    const notes = (await world.server.events(hung, 'note')).map(({ text }) => text);
    expect(notes.filter((text) => /^1\.0\.66 runs, but .* is ended and started again$/.test(text))).toHaveLength(3);
    expect(notes).toContainEqual('1.0.66 hangs again and again: it goes back to 1.0.52 by itself');
  });
});
