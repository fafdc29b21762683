import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TransactionLine } from '../../protocol/status.ts';
import { applianceViewShape } from '../../server-lite/operator/shapes.ts';
import { until } from '../support/world/wait.ts';
import { updaterVersion } from '../support/world/world.ts';
import type { Machine } from './machine.ts';
import { eachSecond, Site, serves } from './site.ts';

/** The updater replaces itself, in its own unit and sandbox (S28). */
const site = new Site();
const name = 'self';
const units = { agent: 'holdfast-agent.service', updater: 'holdfast-updater.service' } as const;
const comesWithinMs = 120_000;
const good = '1.1.0';
const fixed = '1.1.12';
let machine: Machine;

async function assign(component: 'app' | 'updater', version: string): Promise<void> {
  const { id } = await site.world.server.appliance(name);
  await site.world.server.api(applianceViewShape, 'POST', `/api/appliances/${id}/assign`, { component, version });
}

function lineOf(version: string): Promise<TransactionLine> {
  return until(`the updater has done with ${version}`, comesWithinMs, async () => {
    const { transactions, row } = await machine.status();
    const line = transactions.find(({ component, to }) => component === 'updater' && to === version);
    return row === 'idle' && line !== undefined ? line : null;
  });
}

beforeAll(async () => {
  await site.found();
  const { builder } = site.world;
  const tree = await site.tree('1.0.49');
  const bad = [];
  for (const version of ['1.1.1', '1.1.2', '1.1.8']) bad.push(await builder.patchedUpdater(version));
  await site.world.publish(
    ...bad,
    await builder.updater(good),
    await builder.updater(fixed),
    await builder.app('1.0.52'),
  );
  const prepare = (one: Machine) => {
    const overdue = '/usr/lib/holdfast/node /usr/lib/holdfast/launch.js overdue updater --after-s 4';
    one.dropIn('holdfast-overdue.service', `[Service]\nExecCondition=\nExecCondition=${overdue}\n`);
    one.dropIn('holdfast-overdue.timer', eachSecond);
  };
  machine = await site.appliance(name, tree, { prepare });
  await serves(machine, '1.0.49');
});

afterAll(() => site[Symbol.asyncDispose]());

describe('under systemd, an updater', () => {
  it('that hangs in its trial is ended by a timer, and the one before it goes on', async () => {
    const agent = await machine.property(units.agent, 'InvocationID');
    await assign('updater', '1.1.2');
    const line = await lineOf('1.1.2');
    expect(line).toMatchObject({ outcome: 'rolled-back', reason: 'crash-loop' });
    expect(line.text).toMatch(/last exit: SIGKILL/);
    expect(await machine.journal('holdfast-overdue.service')).toContain('the updater on trial hangs');
    expect(await machine.property(units.agent, 'InvocationID'), 'the agent was not touched').toBe(agent);
  });

  it('that crashes in its trial is rolled back with its last words', async () => {
    await assign('updater', '1.1.1');
    expect(await lineOf('1.1.1')).toMatchObject({ outcome: 'rolled-back', reason: 'crash-loop' });
    const evidence = await machine.command('sh', '-c', 'cat /var/lib/holdfast/updater/evidence/*/*');
    expect(evidence).toContain('1.1.1 is broken on purpose');
  });

  it('that crashes after its commit is replaced by factory, which brings the next one', async () => {
    await assign('updater', '1.1.8');
    expect(await lineOf('1.1.8')).toMatchObject({ outcome: 'committed', from: updaterVersion });
    await until('factory runs in its place', comesWithinMs, async () => {
      const { updater, why } = await machine.status();
      return updater.version === updaterVersion && /1\.1\.8 ended badly/.test(why) ? true : null;
    });
    await assign('updater', good);
    expect(await lineOf(good)).toMatchObject({ outcome: 'committed', from: '1.1.8' });
    const agent = await machine.property(units.agent, 'InvocationID');
    await assign('updater', fixed);
    expect(await lineOf(fixed)).toMatchObject({ outcome: 'committed', from: good });
    expect(await machine.property(units.agent, 'InvocationID'), 'the agent was not touched').toBe(agent);
    await assign('app', '1.0.52');
    await serves(machine, '1.0.52');
  });

  it('whose run does not end at all is ended by its unit (S58)', async () => {
    machine.dropIn(units.updater, '[Service]\nProtectKernelTunables=no\nProtectControlGroups=no\nRuntimeMaxSec=2\n');
    await machine.command('systemctl', 'daemon-reload');
    await until('a run is stopped in the middle', comesWithinMs, async () => {
      if ((await machine.property(units.updater, 'SubState')) !== 'running') return null;
      await machine.try(['systemctl', 'kill', '--signal=SIGSTOP', units.updater]);
      return (await machine.property(units.updater, 'SubState')) === 'running' ? true : null;
    });
    await until('systemd ends it', comesWithinMs, async () =>
      (await machine.journal(units.updater)).includes('Service reached runtime time limit. Stopping.') ? true : null,
    );
    await until('the next run is whole', comesWithinMs, async () =>
      (await machine.property(units.updater, 'Result')) === 'success' ? true : null,
    );
  });
});
