import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Findings } from '../support/killing/findings.ts';
import { failingCases, fetchingCases, type KillCase, returnCases, updateCases } from '../support/killing/kill-cases.ts';
import { Lane, type Seen } from '../support/killing/lane.ts';
import { lostEvents } from '../support/killing/look.ts';
import { type Built, thinRuntime } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

/** Cases run on several appliances at a time; each test waits for its own. */
const goodLanes = ['a', 'b', 'c'];
const badLane = 'bad';
const paceS = 0.5;

const dir = mkdtempSync(join(tmpdir(), 'holdfast-kill-updater-'));
const world = new World(dir, thinRuntime(join(dir, 'thin')));
const lanes: Lane[] = [];
const findings = new Findings<KillCase, Seen>([...fetchingCases, ...updateCases, ...returnCases, ...failingCases]);

/** One release to all of them at the same time, and each updater dies at another moment of it. */
async function together(bundle: Built, cases: readonly KillCase[]): Promise<void> {
  await world.publish(bundle);
  const begun = await Promise.all(cases.map((one, index) => lanes[index]?.begin(one.deaths)));
  await world.server.startRollout(
    bundle.version,
    lanes.map(({ name }) => name),
  );
  await Promise.all(
    cases.map((one, index) => {
      const [lane, start] = [lanes[index], begun[index]];
      if (lane === undefined || start === undefined) throw new RangeError('a case without an appliance');
      return findings.settle(one, () => lane.finish(start));
    }),
  );
}

/** Back by hand and forward again, for as long as there are cases; where one way has none left, nobody is killed on it. */
async function backAndForth(lane: Lane, updates: KillCase[], returns: KillCase[]): Promise<void> {
  while (updates.length > 0 || returns.length > 0) {
    const [back, forth] = [returns.shift(), updates.shift()];
    if (back === undefined) await lane.go('rollback');
    else await findings.settle(back, () => lane.kill(back, null));
    if (forth === undefined) await lane.go('retry');
    else await findings.settle(forth, () => lane.kill(forth, null));
  }
}

async function play(bundles: readonly [Built, Built, Built]): Promise<void> {
  const [fix, newest, bad] = bundles;
  const updates = [...fetchingCases, ...updateCases];
  const returns = [...returnCases];
  await together(fix, updates.splice(0, lanes.length));
  await together(newest, updates.splice(0, lanes.length));
  const [last, ...good] = lanes.toReversed();
  if (last === undefined) throw new RangeError('no appliances');
  const failing = async () => {
    for (const one of failingCases) await findings.settle(one, () => last.kill(one, bad.path));
  };
  await Promise.all([failing(), ...good.map((lane) => backAndForth(lane, updates, returns))]);
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const build = async (): Promise<[Built, Built, Built]> => [
    await world.builder.app('1.0.52'),
    await world.builder.app('1.0.54'),
    await world.builder.app('1.0.53'),
  ];
  const bundles = build();
  for (const name of [...goodLanes, badLane]) {
    const healthyMs = name === badLane ? 5_000 : 300;
    const trial = { healthyMs, deadlineMs: patienceMs };
    const box = await world.addAppliance(name, { timerMs: 10_000, trial, settings: { sampleMs: 100 } });
    await box.powerOn();
    lanes.push(new Lane(world, box));
  }
  for (const { name } of lanes) {
    await until(`${name} is there`, patienceMs, async () =>
      (await world.server.records(name)).length === 0 ? null : true,
    );
  }
  const ready = await bundles;
  play(ready).then(
    () => findings.breakOff('no appliance was left for it'),
    (error: unknown) => findings.breakOff(error),
  );
});

afterAll(async () => {
  await world.end();
  rmSync(dir, { recursive: true, force: true });
});

const named = (cases: readonly KillCase[]) => cases.map((one) => [one.name, one] as const);

function expectCarriedOn(found: Seen, outcome: string): void {
  expect(found).toMatchObject({ committedWasSound: true, row: 'idle', halfWritten: [], outcomes: [outcome] });
  expect(found.readingsBefore.count).toBeGreaterThan(0);
  expect(found.readingsAfter).toEqual(found.readingsBefore);
}

describe('after SIGKILL of the updater, the next start carries on', () => {
  it.each(named([...fetchingCases, ...updateCases]))('%s: the new version is committed', async (_name, one) => {
    const found = await findings.found(one);
    expectCarriedOn(found, 'committed');
    expect(['1.0.52', '1.0.54']).toContain(found.serves);
    expect(found.serves).not.toBe(found.servedBefore);
  });

  it.each(named(returnCases))('%s: the version before serves with the data of now', async (_name, one) => {
    const found = await findings.found(one);
    expectCarriedOn(found, 'committed');
    expect(found).toMatchObject({ servedBefore: '1.0.54', serves: '1.0.52' });
  });

  it.each(named(failingCases))('%s: the version before serves with its old data', async (_name, one) => {
    const found = await findings.found(one);
    expectCarriedOn(found, 'rolled-back');
    expect(found).toMatchObject({ servedBefore: '1.0.54', serves: '1.0.54', reason: 'stalled' });
  });

  it.each([...goodLanes, badLane])('nothing that %s put in an outbox is lost on the way', async (name) => {
    await findings.allSettled();
    for (const role of ['agent', 'updater'] as const) expect(await lostEvents(world, name, role)).toEqual([]);
    const { ackUpto } = await world.server.appliance(name);
    expect(ackUpto.agent).toBeGreaterThan(10);
    expect(ackUpto.updater).toBeGreaterThan(2);
  });
});
