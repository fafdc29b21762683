import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Collector } from '../../examples/meter-gateway/collector.ts';
import { SimulatedMeter } from '../../examples/meter-gateway/simulator.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { checkout } from '../support/world/checkout.ts';
import { committed, endWorld, makeWorld, paceS, patient, trialOf, untilOf } from './scene.ts';

/**
 * The example appliance in the field: it gets its maker's release, the next one, and a bad one, which is rolled back. What
 * its meter said is at the collector without a gap and once, whatever ran meanwhile.
 */
const world = makeWorld();
const gateway = join(checkout, 'examples', 'meter-gateway');
const [meter, collector] = [new SimulatedMeter(), new Collector()];
let box: ApplianceBox;

/** The gateway with one change in its source. */
function changed(name: string, from: string, to: string): string {
  const directory = join(world.dir, name);
  cpSync(gateway, directory, { recursive: true, filter: (path) => !path.endsWith('.test.ts') });
  const index = join(directory, 'index.ts');
  const text = readFileSync(index, 'utf8');
  expect(text).toContain(from);
  writeFileSync(index, text.replace(from, to));
  return directory;
}

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  // What gets worse in a trial ends it at once.
  const settings = { ...patient, graceMs: 1_000 };
  box = await world.addAppliance('gateway', { trial: trialOf(8_000), settings });
  const maker = { meterPort: await meter.start(), collectorUrl: await collector.start() };
  writeFileSync(box.layout.agentSettings, JSON.stringify({ intervalMs: 200, maker }));
  await box.powerOn();
});
afterAll(async () => {
  await endWorld(world);
  await meter.stop();
  await collector.stop();
});

async function rollOut(version: string, makerDir: string): Promise<void> {
  await world.publish(await world.builder.made(version, makerDir));
  await world.server.startRollout(version);
}
const checkIs = (name: string, word: string) =>
  untilOf(box, `says that ${name} is ${word}`, async () => {
    const found = (await box.status()).agent.checks[name];
    return found !== undefined && wordOf(found) === word ? word : null;
  });

async function order(kind: string, args: Readonly<Record<string, string>>): Promise<string> {
  const { id } = await world.server.sendOrder('gateway', kind, args);
  const end = await untilOf(box, `ends ${kind}`, async () => {
    const now = await world.server.order(id);
    return now.endedAtMs === null ? null : now;
  });
  expect([kind, end.state, end.error]).toEqual([kind, 'succeeded', null]);
  return end.result ?? '';
}

/** All that the meter said until now is at the collector, in its order, each once. */
async function forwarded(): Promise<number> {
  await order('run-duty', { duty: 'forward' });
  const said = [...collector.rows.values()].map(({ kWh }) => Math.round(kWh * 10));
  expect(said).toEqual(said.map((_, i) => (said[0] ?? 0) + i));
  return said.length;
}

describe('the example appliance', () => {
  it("gets its maker's release, whose checks and orders are there", async () => {
    await rollOut('1.1.0', gateway);
    await committed(world, 'gateway', '1.1.0');
    const { result } = z
      .object({ result: z.object({ kW: z.number() }) })
      .parse(JSON.parse(await order('run-order', { order: 'read-now' })));
    expect(result.kW).toBeCloseTo(4.2);
    await checkIs('meter', 'ok');
    expect(await forwarded()).toBeGreaterThan(0);
  });

  it('gets the next one, and sends what waited', async () => {
    collector.isDown = true;
    await order('run-order', { order: 'read-now' });
    await rollOut('1.2.0', changed('next', 'const rowsAtOnce = 500;', 'const rowsAtOnce = 100;'));
    await committed(world, 'gateway', '1.2.0');
    await order('run-order', { order: 'read-now' });
    const before = collector.rows.size;
    collector.isDown = false;
    expect(await forwarded()).toBeGreaterThanOrEqual(before + 2);
    await checkIs('meter', 'ok');
  });

  it('goes back from one whose check fails, and has lost nothing', async () => {
    const before = await forwarded();
    await rollOut('1.3.0', changed('bad', 'ageMs > 6 * readMs', 'ageMs > -1'));
    const line = await untilOf(box, 'goes back', async () => {
      const last = (await box.status()).transactions.find(({ to }) => to === '1.3.0');
      return last !== undefined && wordOf(last.outcome) === 'rolled-back' ? last : null;
    });
    expect(line).toMatchObject({ reason: 'regression', text: expect.stringContaining('meter') });
    await untilOf(box, 'serves 1.2.0 again', async () => {
      const { agent, row } = await box.status();
      return agent.version === '1.2.0' && row === 'idle' ? agent : null;
    });
    await order('run-order', { order: 'read-now' });
    await checkIs('meter', 'ok');
    expect(await forwarded()).toBeGreaterThan(before);
  });
});
