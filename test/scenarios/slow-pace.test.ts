import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import {
  comesWithinMs,
  committed,
  endWorld,
  historyOf,
  makeWorld,
  patient,
  serves,
  told,
  trialOf,
  untilOf,
} from './scene.ts';

/** A server that wants to hear from its appliances once a day, as over a metered line. */
const world = makeWorld();
const daySeconds = 86_400;
let box: ApplianceBox;

beforeAll(async () => {
  await world.found('1.0.49', daySeconds);
  box = await world.addAppliance('alpha', { trial: trialOf(1_000), settings: patient });
  await box.powerOn();
  await serves(box, '1.0.49');
  await until('both have checked in', comesWithinMs, async () => {
    const { agent, updater } = (await world.server.appliance('alpha')).checkIns;
    return agent !== null && updater !== null ? true : null;
  });
});

afterAll(() => endWorld(world));

describe('a release on trial where check-ins are a day apart', () => {
  it('is seen twice by the server within its trial, is committed, and is proven soon after', async () => {
    await world.publish(await world.builder.app('1.0.52'));
    await world.server.startRollout('1.0.52', ['alpha']);
    await box.updaterProgram(['check', '--json', '--no-wait']);
    expect(told(await historyOf(box, 1))).toEqual(['1.0.49 -> 1.0.52 committed']);
    await committed(world, 'alpha', '1.0.52');
    await untilOf(box, 'has the rollout finished', async () =>
      (await world.server.rollouts()).some(({ state }) => state === 'finished') ? true : null,
    );
  });
});
