import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeLock } from '../../updater/appliance/lock.ts';
import { realClock } from '../../updater/effects/clock.ts';
import { type Files, realFiles } from '../../updater/effects/files.ts';
import { loadState } from '../../updater/record/state-store.ts';
import { runUpdater } from '../../updater/run/loop.ts';
import { openAppliance } from '../../updater/run/run.ts';
import { highestOf } from '../story/checks.ts';
import type { ReadingsSeen } from '../story/observations.ts';
import { acknowledged, readings } from '../story/outside.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import { updaterVersion } from '../support/world/world.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, patient, serves, told, trialOf } from './scene.ts';

/**
 * 1.0.53 is rolled back, and something happens to the restored database before the updater has digested it: planted by
 * an updater whose file operations are wrapped. No other updater runs by itself, so what follows is told step by step.
 */
const world = makeWorld();
const boxes = new Map<string, ApplianceBox>();

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  for (const name of ['wal', 'byte']) {
    const trial = trialOf(4_000);
    const box = await world.addAppliance(name, { timerMs: null, trial, settings: { ...patient, stallMs: 3_000 } });
    boxes.set(name, box);
    await box.powerOn();
  }
  await world.publish(await world.builder.app('1.0.53'));
});

afterAll(() => endWorld(world));

function boxOf(name: string): ApplianceBox {
  const box = boxes.get(name);
  if (box === undefined) throw new RangeError(`${name} is not set up`);
  return box;
}

/** The rows that the server has acknowledged by now, as the agent has them. */
async function readingsOf(name: string): Promise<ReadingsSeen> {
  const records = await until(`${name} has acknowledged rows`, comesWithinMs, async () => {
    const found = await acknowledged(world, name);
    return found.length > 3 ? found : null;
  });
  return readings(world, name, highestOf(records));
}

/** The real file system, except that something happens right after the database was put back. */
function afterRestore(box: ApplianceBox, plant: () => void): { files: Files; planted: () => number } {
  let planted = 0;
  const files: Files = {
    ...realFiles,
    rename: (from, to) => {
      realFiles.rename(from, to);
      // Root works in agent/ by descriptor: the name is all that is left of its path.
      if (basename(to) !== basename(box.layout.stateDb) || !from.startsWith(box.layout.snapshots)) return;
      planted += 1;
      plant();
    },
  };
  return { files, planted: () => planted };
}

/** One run of the updater over these files. @returns the code that it ended with, null when it came to rest */
async function runOver(box: ApplianceBox, files: Files): Promise<string | null> {
  const { layout } = box;
  const lock = takeLock(layout);
  if (lock === null) throw new Error('another updater is at work');
  try {
    const appliance = openAppliance(
      { files, clock: realClock, layout, version: updaterVersion, builtAtS: 0, home: layout.root },
      () => undefined,
    );
    await runUpdater(appliance, loadState(files, layout), true);
    return null;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  } finally {
    lock.release();
  }
}

function flipByte(path: string): void {
  const file = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, 4_000);
    writeSync(
      file,
      byte.map((value) => value ^ 1),
      0,
      1,
      4_000,
    );
  } finally {
    closeSync(file);
  }
}

describe('in the restored database', () => {
  it('a left-over -wal is caught before any agent starts, and taken away', async () => {
    const box = boxOf('wal');
    const before = await readingsOf('wal');
    await world.server.startRollout('1.0.53', ['wal']);
    const { files, planted } = afterRestore(box, () => writeFileSync(`${box.layout.stateDb}-wal`, 'of the trial'));
    expect(await runOver(box, files)).toBeNull();
    expect(planted()).toBeGreaterThan(0);
    expect(told((await serves(box, '1.0.49')).transactions)).toEqual(['1.0.49 -> 1.0.53 rolled-back stalled']);
    expect(await readings(world, 'wal', before.upTo)).toEqual(before);
  });

  it('a changed byte is caught: the factory agent runs on its own state, until the byte is right again', async () => {
    const box = boxOf('byte');
    const before = await readingsOf('byte');
    await world.server.startRollout('1.0.53', ['byte']);
    const { files, planted } = afterRestore(box, () => flipByte(box.layout.stateDb));
    expect(await runOver(box, files)).toBeNull();
    expect(planted()).toBeGreaterThan(0);
    expect((await box.updaterProgram(['run'])).exitCode).toBe(0);
    const status = await box.status();
    expect([status.row, status.verdict.word, status.why]).toEqual([
      'safe',
      'safe',
      expect.stringContaining('state.db is not what the snapshot holds'),
    ]);
    await until('the factory agent runs', comesWithinMs, () => box.agentPid());
    const start = readFileSync(join(box.layout.launchedComponent('app'), 'start.json'), 'utf8');
    expect(JSON.parse(start)).toMatchObject({ slot: 'factory', stateDir: box.layout.agentFactory });
    // Whoever is alive says so at the server too.
    const { why } = await world.server.appliance('byte');
    expect(why).toContain('Safe mode: the data of 1.0.49 could not be brought back');

    flipByte(box.layout.stateDb);
    expect((await box.updaterProgram(['run'])).exitCode).toBe(0);
    await serves(box, '1.0.49');
    expect(await readings(world, 'byte', before.upTo)).toEqual(before);
  });
});
