import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import {
  comesWithinMs,
  committed,
  ended,
  endWorld,
  imageWith,
  makeWorld,
  paceS,
  patient,
  serves,
  told,
  trialOf,
  untilOf,
} from './scene.ts';

/** Three appliances whose agents are of no use for an update, each in its own way. */
const broken = [
  { name: 'crashing', version: '1.0.40', how: 'crashes at each start' },
  { name: 'hanging', version: '1.0.41', how: 'hangs, and does not end when it is told to' },
  { name: 'rejecting', version: '1.0.42', how: 'rejects every order' },
] as const;
type Name = (typeof broken)[number]['name'];
const [crashing, hanging, rejecting] = broken;

const world = makeWorld();
const boxes: Partial<Record<Name, ApplianceBox>> = {};
let fix: Built;

function box(name: Name): ApplianceBox {
  const found = boxes[name];
  if (found === undefined) throw new RangeError(`${name} is not set up`);
  return found;
}

async function imageOf(version: string): Promise<string> {
  const factory = await world.builder.app(version);
  await world.publish(factory);
  return imageWith(world, factory);
}

beforeAll(async () => {
  await world.found(crashing.version, paceS);
  for (const { name, version } of broken) {
    const trial = trialOf(500);
    const os = version === crashing.version ? world.os : await imageOf(version);
    // One of them has an order that never ends, and asks not to be stopped meanwhile.
    boxes[name] = await world.addAppliance(name, { os, trial, settings: { ...patient, deferMaxMs: 1_000 } });
  }
  await Promise.all(broken.map(({ name }) => box(name).powerOn()));
  fix = await world.builder.app('1.0.52');
  await world.publish(fix);
});

afterAll(() => endWorld(world));

describe('an agent that does not do what it was asked', () => {
  it('S4: ends no order as succeeded: refused, a success with an error, and a state that is none', async () => {
    await until('rejecting checks in', comesWithinMs, async () =>
      (await world.server.appliance('rejecting')).checkIns.agent === null ? null : true,
    );
    const refused = await ended(world, (await world.server.sendOrder('rejecting', 'update_iso')).id);
    expect(refused).toMatchObject({ state: 'refused', error: 'version 1.0.42 takes no order of kind update_iso' });
    const fake = await ended(world, (await world.server.sendOrder('rejecting', 'identify')).id);
    expect(fake).toMatchObject({ state: 'failed', error: 'version 1.0.42 takes no order of kind identify' });
    const { id } = await world.server.sendOrder('rejecting', 'run-checks');
    const unknown = await until('the word that is none arrives', comesWithinMs, async () => {
      const order = await world.server.order(id);
      return order.fault === null ? null : order;
    });
    expect(unknown).toMatchObject({ state: 'running', endedAtMs: null });
    expect(unknown.fault).toContain('"completed", which does not exist');
    const faults = await world.server.events('rejecting', 'fault');
    expect(faults.map(({ text }) => text)).toEqual([expect.stringContaining(id)]);
  });
});

describe('the next release', () => {
  let hungOrder: string;

  beforeAll(async () => {
    hungOrder = (await world.server.sendOrder('rejecting', 'collect-logs')).id;
    await until('the order is under way', comesWithinMs, async () =>
      (await world.server.order(hungOrder)).state === 'running' ? true : null,
    );
    // Each is broken as told, by what is seen from outside.
    await untilOf(box('crashing'), 'has crashed', async () =>
      (await world.server.events('crashing', 'agent-crashed')).length > 0 ? true : null,
    );
    await until('hanging hangs', comesWithinMs, () => box('hanging').agentPid());
    for (const { name, version } of [crashing, hanging]) {
      const view = await untilOf(box(name), 'tells the server of itself', async () => {
        const found = await world.server.appliance(name);
        return found.reported.updater.app === undefined ? null : found;
      });
      expect(view.checkIns.agent).toBeNull();
      expect(view.reported.updater.app?.version).toBe(version);
    }
    await untilOf(box('hanging'), 'is seen to live and to answer nothing', async () => {
      const { alive, version } = (await box('hanging').status()).agent;
      return alive === true && version === null ? true : null;
    });
    await untilOf(box('rejecting'), 'is ok', async () =>
      (await world.server.appliance(rejecting.name)).state === 'ok' ? true : null,
    );
    await world.server.startRollout(
      '1.0.52',
      broken.map(({ name }) => name),
    );
  });

  it.each(broken)('S1: is installed on $name, whose agent $how', async ({ name, version }) => {
    const view = await committed(world, name, '1.0.52');
    const status = await serves(box(name), '1.0.52');
    expect(told(status.transactions)).toEqual([`${version} -> 1.0.52 committed`]);
    expect(view.quarantine).toEqual([]);
    expect(view.reported.agent.app?.version).toBe('1.0.52');
    expect(view.agentAlive).toBe(true);
  });

  it('S22: leaves no order open that it interrupted: the version that is alive reports its end', async () => {
    const order = await ended(world, hungOrder);
    expect(order.state).toBe('failed');
    expect(order.error).toContain('the agent stopped while this order was under way');
    // And the update itself was reported by the updater, which outlived it.
    const reports = await until('the updater tells of it', comesWithinMs, async () => {
      const found = await world.server.events('rejecting', 'release-committed');
      return found.length === 0 ? null : found;
    });
    expect(reports.map(({ role, text }) => [role, text])).toEqual([['updater', expect.stringContaining('1.0.52')]]);
  });
});
