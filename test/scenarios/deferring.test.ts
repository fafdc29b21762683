import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { comesWithinMs, committed, endWorld, historyOf, makeWorld, paceS, serves, told } from './scene.ts';

/**
 * The committed 1.0.62 is healthy and never wants to be stopped. It keeps one release away for as long as it may, and a
 * person not at all. Two releases migrate their state for longer than work may stand still: one in its time, one never.
 */
const world = makeWorld();
const timerMs = 1_000;
const trial = { healthyMs: 500, deadlineMs: patienceMs };
const wanted = '1.0.66';
const deferMaxMs = 15_000;
let patient: ApplianceBox;
let busy: ApplianceBox;
let slow: ApplianceBox;
let never: ApplianceBox;
let release: Built;

beforeAll(async () => {
  await world.found('1.0.62', paceS);
  const settings = { sampleMs: 100, stallMs: 4_000 };
  patient = await world.addAppliance('patient', { timerMs, trial, settings: { ...settings, deferMaxMs } });
  busy = await world.addAppliance('busy', { timerMs, trial, settings });
  slow = await world.addAppliance('slow', { timerMs, trial, settings });
  never = await world.addAppliance('never', { timerMs, trial, settings });
  release = await world.builder.unpatched(wanted);
  await world.publish(release);
});

afterAll(() => endWorld(world));

/** Until the switch waits for the agent. */
function deferred(box: ApplianceBox, usedMs = 0) {
  return until(`${box.options.name} puts ${wanted} off`, comesWithinMs, async () => {
    const { deferral, row, why } = await box.status();
    return deferral !== undefined && row === 'sealed' && deferral.usedMs >= usedMs ? { ...deferral, why } : null;
  });
}

describe('a version that migrates its state for longer than work may stand still', () => {
  it('passes where it is done in the time that its release asks for', async () => {
    const { path } = await world.builder.app('1.0.63');
    await slow.powerOn();
    await serves(slow, '1.0.62');
    await slow.updaterProgram(['install', path, '--json', '--no-wait']);
    await serves(slow, '1.0.63');
    expect(told(await historyOf(slow, 1))).toEqual(['1.0.62 -> 1.0.63 committed']);
  });

  it('is rolled back when that time is over', async () => {
    const { path } = await world.builder.app('1.0.64');
    await never.powerOn();
    await serves(never, '1.0.62');
    await never.updaterProgram(['install', path, '--json', '--no-wait']);
    expect(told(await historyOf(never, 1))).toEqual(['1.0.62 -> 1.0.64 rolled-back state-not-migrated']);
    await serves(never, '1.0.62');
  });
});

describe('a healthy agent that never wants to be stopped', () => {
  it('keeps a release away for as long as it may in all, over a power cut, and then no longer', async () => {
    await patient.powerOn();
    await serves(patient, '1.0.62');
    await world.server.startRollout(wanted, ['patient']);
    const first = await deferred(patient, 1_500);
    expect(first.words).toBe('a measurement [2J runs');
    expect(first.usedMs + first.leftMs).toBe(deferMaxMs);
    expect(first.why).toContain('1.0.62 asks not to be stopped now: “a measurement [2J runs”');
    await until('the server has the same sentence', comesWithinMs, async () =>
      (await world.server.appliance('patient')).why.includes('asks not to be stopped now') ? true : null,
    );
    const { usedMs } = await deferred(patient);
    await patient.pullThePlug();
    await patient.powerOn();
    expect((await deferred(patient)).usedMs).toBeGreaterThanOrEqual(usedMs);
    await committed(world, 'patient', wanted);
    expect(told(await historyOf(patient, 1))).toEqual([`1.0.62 -> ${wanted} committed`]);
    expect((await patient.status()).deferral).toBeUndefined();
  });

  it('keeps a file that a person brings not away, and a release that waits is left for it', async () => {
    await busy.powerOn();
    await serves(busy, '1.0.62');
    await until('the release is for everyone', comesWithinMs, async () =>
      (await world.server.rollouts()).find((one) => one.version === wanted)?.proven.includes('patient') ? true : null,
    );
    expect((await deferred(busy)).leftMs).toBeGreaterThan(23 * 60 * 60_000);
    const { transactions } = await busy.status();
    expect(transactions).toEqual([]);
    await busy.updaterProgram(['install', release.path, '--json', '--no-wait']);
    await committed(world, 'busy', wanted);
    expect(told(await historyOf(busy, 1))).toEqual([`1.0.62 -> ${wanted} committed`]);
  });
});
