import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import {
  comesWithinMs,
  committed,
  endWorld,
  historyOf,
  launchedSlot,
  makeWorld,
  mappedSlotFiles,
  paceS,
  serves,
  told,
} from './scene.ts';

/**
 * One appliance from its factory version onwards: a first update that fails, one that is good, a power cut, an override
 * that points nowhere, and a judge that outlives the judged. Its root lies behind a symbolic link all the time.
 */
const world = makeWorld();
let box: ApplianceBox;

async function rollOut(version: string): Promise<void> {
  await world.publish(await world.builder.app(version));
  await world.server.startRollout(version, ['alpha']);
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  // S25: paths with a link in them must not decide anything.
  mkdirSync(join(world.dir, 'disk'));
  symlinkSync(join(world.dir, 'disk'), join(world.dir, 'link'));
  box = await world.addAppliance('alpha', {
    root: join(world.dir, 'link', 'alpha'),
    trial: { healthyMs: 4_000, deadlineMs: 25_000 },
    settings: { sampleMs: 100, stallMs: 2_000, answerMs: 2_000 },
  });
}, 60_000);

afterAll(() => endWorld(world), 60_000);

describe('an appliance', () => {
  it('S6: says that nothing is known before anybody has looked, with an error and no slot', async () => {
    const asked = await box.updaterProgram(['status', '--json']).catch((error: unknown) => error);
    expect(asked).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('status-unknown') });
  });

  it('S11: tells one version everywhere: slot, agent, updater, server', async () => {
    await box.powerOn();
    const status = await serves(box, '1.0.49');
    const slot = status.slots.find(({ component, role }) => component === 'app' && wordOf(role) === 'committed');
    const release = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync(join(launchedSlot(box), 'release.json'), 'utf8')));
    const { reported } = await until('both have checked in', comesWithinMs, async () => {
      const view = await world.server.appliance('alpha');
      return view.reported.agent.app && view.reported.updater.app ? view : null;
    });
    const versions = [slot?.version, release.version, reported.agent.app?.version, reported.updater.app?.version];
    expect(versions).toEqual(['1.0.49', '1.0.49', '1.0.49', '1.0.49']);
  });

  it('S57: goes back to its factory version when its first update fails', async () => {
    await rollOut('1.0.53');
    expect(told(await historyOf(box, 1))).toEqual(['1.0.49 -> 1.0.53 rolled-back stalled']);
    const status = await serves(box, '1.0.49');
    const roles = status.slots
      .filter(({ component }) => component === 'app')
      .map(({ slot, role }) => [slot, wordOf(role)]);
    expect(roles).toContainEqual(['factory', 'committed']);
  }, 60_000);

  it('S23: is not called done by a version that was installed and rolled back', async () => {
    const rollout = await until('the rollout pauses', comesWithinMs, async () => {
      const [found] = await world.server.rollouts();
      return found?.state === 'paused' ? found : null;
    });
    expect(rollout).toMatchObject({ version: '1.0.53', proven: [] });
    expect((await world.server.events('alpha', 'release-committed')).length).toBe(0);
  });

  it('S25, S60: takes the newest release past an older one that failed, behind a link in its path', async () => {
    await rollOut('1.0.52');
    await rollOut('1.0.54');
    await committed(world, 'alpha', '1.0.54');
    const status = await serves(box, '1.0.54');
    expect(told(status.transactions).at(-1)).toMatch(/-> 1\.0\.54 committed$/);
    expect(launchedSlot(box)).toContain(join(world.dir, 'disk', 'alpha', 'slots', 'app'));
  }, 60_000);

  it('S29: runs files of one slot only', () => {
    const pid = box.agentPid();
    if (pid === null) throw new Error('there is no agent');
    const slot = launchedSlot(box);
    const mapped = mappedSlotFiles(box, pid);
    expect(mapped.length).toBeGreaterThan(0);
    expect(mapped.filter((path) => !path.startsWith(`${slot}/`))).toEqual([]);
  });

  it('S26: starts the same version after a power cut, with everything below run/ gone', async () => {
    await box.pullThePlug();
    rmSync(box.layout.run, { recursive: true, force: true });
    await box.powerOn();
    expect((await serves(box, '1.0.54')).slots.map(({ role }) => wordOf(role))).toContain('committed');
  }, 60_000);

  it('S27: starts the committed version although the link to the code points at something that is gone', async () => {
    const before = box.agentPid();
    if (before === null) throw new Error('there is no agent');
    const link = box.layout.launchedComponent('app');
    symlinkSync('/nonexistent/override', `${link}.planted`);
    renameSync(`${link}.planted`, link);
    process.kill(before, 'SIGKILL');
    const status = await until('another agent answers', comesWithinMs, async () => {
      const found = await box.status();
      return found.agent.pid !== null && found.agent.pid !== before && found.agent.version === '1.0.54' ? found : null;
    });
    expect(status.row).toBe('idle');
  }, 60_000);

  it('S24: is judged by another process: a version on trial that is frozen is rolled back', async () => {
    const lines = (await box.status()).transactions.length;
    await world.publish(await world.builder.unpatched('1.0.70'));
    await world.server.startRollout('1.0.70', ['alpha']);
    const trial = await until('1.0.70 is on trial and answers', comesWithinMs, async () => {
      const found = await box.status();
      return found.row === 'trial' && found.agent.pid !== null && found.agent.version !== null ? found : null;
    });
    const judges = box.processes('launched/updater/slot/main.js run');
    expect(judges.length).toBeGreaterThan(0);
    expect(judges).not.toContain(trial.agent.pid);
    process.kill(trial.agent.pid ?? 0, 'SIGSTOP');
    expect(told(await historyOf(box, lines + 1)).at(-1)).toBe('1.0.54 -> 1.0.70 rolled-back no-answer');
    await serves(box, '1.0.54');
  }, 60_000);
});
