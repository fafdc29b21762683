import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { told } from '../scenarios/scene.ts';
import { until } from '../support/world/wait.ts';
import type { Machine } from './machine.ts';
import { comesWithinMs, Site, serves } from './site.ts';

/** Agents that are of no use, each as the factory version of a machine of its own; the next release arrives all the same. */
const site = new Site();
const agent = 'holdfast-agent.service';
const broken: readonly { version: string; how: string; proof: (machine: Machine) => Promise<true | null> }[] = [
  {
    version: '1.0.40',
    how: 'crashes at each start',
    proof: async (machine) =>
      (await machine.property(agent, 'Result')) === 'exit-code' ? hasCrashed(machine, 1) : null,
  },
  {
    version: '1.0.43',
    how: 'ends with 0 at each start',
    proof: (machine) => hasCrashed(machine, 0),
  },
  {
    version: '1.0.41',
    how: 'hangs before it answers, and hears no signal',
    proof: async (machine) => {
      const isUp = (await machine.property(agent, 'SubState')) === 'running';
      return isUp && (await machine.status()).agent.version === null ? true : null;
    },
  },
];

async function hasCrashed(machine: Machine, code: number): Promise<true | null> {
  const { agent: seen } = await machine.status();
  return seen.crashes >= 2 && seen.lastExit?.code === code ? true : null;
}

const machines = new Map<string, Machine>();
function machineOf(version: string): Machine {
  const machine = machines.get(version);
  if (machine === undefined) throw new RangeError(`no machine runs ${version}`);
  return machine;
}

beforeAll(async () => {
  await site.found();
  for (const { version } of broken) {
    machines.set(version, await site.appliance(`m-${version.replaceAll('.', '-')}`, await site.tree(version)));
  }
});

afterAll(() => site[Symbol.asyncDispose]());

describe('under systemd, an agent that', () => {
  it.each(broken)('$how is seen to do so, by systemd itself', async ({ version, proof }) => {
    const machine = machineOf(version);
    await until(`${version} is broken as told`, comesWithinMs, () => proof(machine));
  });

  it.each(broken)('$how does not keep the next release out (S1)', async ({ version }) => {
    if ((await site.world.server.rollouts()).length === 0) {
      await site.world.publish(await site.world.builder.app('1.0.52'));
      await site.world.server.startRollout('1.0.52');
    }
    const status = await serves(machineOf(version), '1.0.52');
    expect(told(status.transactions)).toEqual([`${version} -> 1.0.52 committed`]);
    expect(status.agent.crashes).toBe(0);
  });
});
