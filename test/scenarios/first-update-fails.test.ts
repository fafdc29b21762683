import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import {
  comesWithinMs,
  endWorld,
  historyOf,
  makeWorld,
  paceS,
  patient,
  serves,
  told,
  trialOf,
  untilOf,
} from './scene.ts';

/** An appliance whose first updates fail, each in its own way, with nothing but the factory version to go back to. */
const world = makeWorld();
let box: ApplianceBox;

async function rollOut(version: string): Promise<void> {
  await world.publish(await world.builder.app(version));
  await world.server.startRollout(version, ['alpha']);
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  box = await world.addAppliance('alpha', {
    trial: trialOf(4_000),
    settings: { ...patient, stallMs: 3_000, answerMs: 15_000 },
  });
  await box.powerOn();
  await serves(box, '1.0.49');
});

afterAll(() => endWorld(world));

describe('an appliance', () => {
  it('S57: goes back to its factory version when its first update fails', async () => {
    await rollOut('1.0.53');
    expect(told(await historyOf(box, 1))).toEqual(['1.0.49 -> 1.0.53 rolled-back stalled']);
    const status = await serves(box, '1.0.49');
    const roles = status.slots
      .filter(({ component }) => component === 'app')
      .map(({ slot, role }) => [slot, wordOf(role)]);
    expect(roles).toContainEqual(['factory', 'committed']);
  });

  it('S23: is not called done by a version that was installed and rolled back', async () => {
    const rollout = await until('the rollout pauses', comesWithinMs, async () => {
      const [found] = await world.server.rollouts();
      return found?.state === 'paused' ? found : null;
    });
    expect(rollout).toMatchObject({ version: '1.0.53', proven: [] });
    expect((await world.server.events('alpha', 'release-committed')).length).toBe(0);
  });

  it('S24: is judged by another process: a version on trial that is frozen is rolled back', async () => {
    const lines = (await box.status()).transactions.length;
    await world.publish(await world.builder.unpatched('1.0.70'));
    await world.server.startRollout('1.0.70', ['alpha']);
    const trial = await untilOf(box, 'has 1.0.70 on trial, which answers', async () => {
      const found = await box.status();
      return found.row === 'trial' && found.agent.pid !== null && found.agent.version !== null ? found : null;
    });
    const judges = box.processes('launched/updater/slot/main.js run');
    expect(judges.length).toBeGreaterThan(0);
    expect(judges).not.toContain(trial.agent.pid);
    process.kill(trial.agent.pid ?? 0, 'SIGSTOP');
    expect(told(await historyOf(box, lines + 1)).at(-1)).toBe('1.0.49 -> 1.0.70 rolled-back no-answer');
    await serves(box, '1.0.49');
  });

  it('S11: does not keep a version that calls itself by another number than its manifest', async () => {
    const lines = (await box.status()).transactions.length;
    await rollOut('1.0.61');
    expect(told(await historyOf(box, lines + 1)).at(-1)).toBe('1.0.49 -> 1.0.61 rolled-back wrong-version');
    expect((await serves(box, '1.0.49')).transactions.at(-1)?.text).toContain('it says that it is 1.0.54');
  });
});
