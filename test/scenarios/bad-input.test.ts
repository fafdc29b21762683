import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { highestOf } from '../story/checks.ts';
import type { ReadingsSeen } from '../story/observations.ts';
import { acknowledged, readings } from '../story/outside.ts';
import {
  bundleCases,
  type Case,
  lieCases,
  metadataCases,
  networkCases,
  type Release,
} from '../support/bad-input/cases.ts';
import { placesIn } from '../support/bad-input/damage.ts';
import { type Arrived, arrived, type Lane, look, type Seen } from '../support/bad-input/lane.ts';
import { MisbehavingProxy } from '../support/bad-input/misbehaving-proxy.ts';
import { Findings } from '../support/killing/findings.ts';
import { askUpdater } from '../support/killing/look.ts';
import { type Built, thinRuntime } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

const paceS = 0.25;
const version = '1.0.52';
const newerVersion = '1.0.54';

const cases = { metadata: metadataCases, bundle: bundleCases, lies: lieCases, network: networkCases } as const;
const names = ['metadata', 'bundle', 'lies', 'network'] as const;
type Name = (typeof names)[number];

const dir = mkdtempSync(join(tmpdir(), 'holdfast-bad-input-'));
const world = new World(dir, thinRuntime(join(dir, 'thin')));
const lanes = new Map<Name, Lane>();
const findings = new Findings<Case, Seen>(names.flatMap((name) => cases[name]));
const arrivals = new Findings<Name, Arrived>(names);

function laneOf(name: Name): Lane {
  const lane = lanes.get(name);
  if (lane === undefined) throw new RangeError(`there is no appliance ${name}`);
  return lane;
}

/** What the agent of an appliance has of the acknowledged rows before its cases. */
async function readingsOf(name: Name): Promise<ReadingsSeen> {
  return readings(world, name, highestOf(await acknowledged(world, name)));
}

/** All cases of one appliance. */
async function playCases(name: Name, release: Release): Promise<void> {
  for (const one of cases[name]) await findings.settle(one, () => look(laneOf(name), one, release));
}

/** The first misbehaviour is there before anything is offered: no transaction may begin on an honest line. */
function misbehaveFirst(name: Name, release: Release): void {
  const first = cases[name].find((one) => one.outcome !== 'not believed');
  if (first !== undefined) laneOf(name).proxy.misbehaviour = first.act(release);
}

async function play(bundle: Built, newer: Built): Promise<void> {
  await world.publish(bundle);
  const release = { component: 'app', version, manifest: bundle.manifest } as const;
  const desired = { release, path: '/releases', openForS: 3_600, reasons: ['a lie'] };
  const about = {
    places: await placesIn(bundle.path, laneOf('metadata').box.layout),
    wish: { desired, ackUpto: 1_000_000, nextInS: 0.2 },
  };
  const [metadata, ofBundle, lies, network] = await Promise.all([
    readingsOf('metadata'),
    readingsOf('bundle'),
    readingsOf('lies'),
    readingsOf('network'),
  ]);
  for (const name of names) misbehaveFirst(name, about);
  await world.server.startRollout(version, ['metadata', 'bundle', 'network']);
  await Promise.all(names.map((name) => playCases(name, about)));
  // Only now: to whom the lies were told, nobody had offered anything.
  await world.server.startRollout(version, ['metadata', 'bundle', 'lies', 'network']);
  const honest = async (name: Name, before: ReadingsSeen) => {
    const lane = laneOf(name);
    lane.proxy.misbehaviour = null;
    // What was refused comes again by itself too, after its back-off.
    if (name !== 'lies') askUpdater(lane.box, { kind: 'retry' });
    await arrivals.settle(name, () => arrived(world, lane, version, before));
  };
  await Promise.all([honest('metadata', metadata), honest('bundle', ofBundle), honest('lies', lies)]);
  // Its bundle of 1.0.52 is still out of order, and nobody asks for a retry.
  await world.publish(newer);
  await world.server.startRollout(newerVersion, ['network']);
  await arrivals.settle('network', () => arrived(world, laneOf('network'), newerVersion, network));
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const building = (async () => [await world.builder.app(version), await world.builder.app(newerVersion)] as const)();
  for (const name of names) {
    const proxy = new MisbehavingProxy(world.server.url);
    await proxy.start();
    const trial = { healthyMs: 300, deadlineMs: patienceMs };
    const settings = { sampleMs: 100, httpStallMs: 700 };
    const box = await world.addAppliance(name, { timerMs: 2_000, trial, settings }, proxy.url);
    await box.powerOn();
    lanes.set(name, { name, box, proxy });
  }
  for (const name of names) {
    await until(`${name} is there`, patienceMs, async () =>
      (await world.server.appliance(name)).ackUpto.agent === 0 ? null : true,
    );
  }
  const [bundle, newer] = await building;
  play(bundle, newer).catch((error: unknown) => {
    findings.breakOff(error);
    arrivals.breakOff(error);
  });
});

afterAll(async () => {
  await world.end();
  for (const { proxy } of lanes.values()) await proxy.stop();
  rmSync(dir, { recursive: true, force: true });
});

const named = (...cases: (readonly Case[])[]) => cases.flat().map((one) => [one.name, one] as const);

function expectUntouched(found: Seen): void {
  expect(found.serves).toBe('1.0.49');
  expect(found.pidBefore).not.toBeNull();
  expect(found.pidAfter).toBe(found.pidBefore);
}

describe('bad input', () => {
  it.each(named(metadataCases, bundleCases))(
    '%s is refused with a code and a sentence, and the agent runs on',
    async (_name, one) => {
      const found = await findings.found(one);
      expect(one.codes).toContain(found.code);
      expect(found.sentence).toMatch(/^1\.0\.52 was not installed: .+\. .+\.$/);
      expect(found.why).toContain(found.sentence);
      expectUntouched(found);
    },
  );

  it.each(named(networkCases))('%s is said in why, and the agent runs on', async (_name, one) => {
    const found = await findings.found(one);
    expect(found.why).toContain(`(${found.code})`);
    expectUntouched(found);
  });

  it.each(named(lieCases))('%s is not believed: nothing begins, and the agent runs on', async (_name, one) => {
    const found = await findings.found(one);
    expect(one.codes).toContain(found.code);
    expect(found).toMatchObject({ begun: 0 });
    expect(found.sentence).toContain('nothing that it said was believed');
    expect(found.why).toContain(`not the server of this appliance (${found.code})`);
    expectUntouched(found);
  });

  const expectArrived = (found: Arrived, serves: string) => {
    expect(found).toMatchObject({ serves, outcome: 'committed', halfWritten: [], lost: [] });
    expect(found.before.count).toBeGreaterThan(0);
    expect(found.after).toEqual(found.before);
  };

  it.each(['metadata', 'bundle', 'lies'] as const)(
    'is over once the server is honest again (%s): the update arrives, and nothing is lost',
    async (name) => expectArrived(await arrivals.found(name), version),
  );

  it('does not stand in the way: a newer release comes while the older one can still not be fetched', async () => {
    expectArrived(await arrivals.found('network'), newerVersion);
  });
});
