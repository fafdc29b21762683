import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { emitProgram } from '../../image/emit.ts';
import { TestAppliance, until } from '../../test/agent/agent-process.ts';
import { checkoutRoot } from '../../test/house/checkout.ts';
import { isAlarm } from './alarm.ts';
import { Collector } from './collector.ts';
import { readingOf } from './meter.ts';
import { SimulatedMeter } from './simulator.ts';

const registers = { '1.8.0': { name: 'kWh', factor: 0.1 }, '1.7.0': { name: 'kW', factor: 0.01 } };

describe('the answer of a meter', () => {
  it('is read by its registers, whatever else it has', () => {
    expect(readingOf('1.8.0=5000;1.7.0=420;32.7.0=2301\r', registers)).toEqual({ kWh: 500, kW: 4.2 });
  });

  it.each(['', 'ERROR', '1.8.0=5000', '1.8.0=five;1.7.0=420', '\u0000\u0001'])('%j is no reading', (line) => {
    expect(() => readingOf(line, registers)).toThrow(/no reading/);
  });
});

describe('the alarm', () => {
  it('begins above its limit and ends well below it', () => {
    expect([isAlarm(false, 50, 50), isAlarm(false, 50.1, 50)]).toEqual([false, true]);
    expect([isAlarm(true, 48, 50), isAlarm(true, 47.5, 50)]).toEqual([true, false]);
  });
});

describe('the gateway in the agent', () => {
  const release = mkdtempSync(join(tmpdir(), 'hf-gateway-'));
  const program = join(release, 'program', 'main.js');
  let appliance: TestAppliance;
  let meter: SimulatedMeter;
  let collector: Collector;

  beforeAll(() =>
    emitProgram({
      component: 'app',
      version: '1.0.0',
      commit: 'test',
      sourceDir: checkoutRoot,
      makerDir: import.meta.dirname,
      outDir: join(release, 'program'),
      node: process.execPath,
    }),
  );
  afterAll(() => rmSync(release, { recursive: true }));

  beforeEach(async () => {
    appliance = new TestAppliance();
    [meter, collector] = [new SimulatedMeter(), new Collector()];
    await appliance.startServer();
    const [meterPort, collectorUrl] = [await meter.start(), await collector.start()];
    appliance.settings({ intervalMs: 50, maker: { meterPort, collectorUrl, limitKw: 10 } });
  });
  afterEach(async () => {
    await appliance.end();
    await collector.stop();
    await meter.stop();
  });

  async function order(kind: string, args: Record<string, string>) {
    const id = randomUUID();
    appliance.server.order({ version: 1, id, appliance: appliance.id, kind, expiresAtS: 1_800_000_000, args });
    return until(`the end of ${kind}`, () => {
      const end = appliance.server.orderEnd(id);
      return ['succeeded', 'failed'].includes(String(end?.state)) ? end : null;
    });
  }
  const duty = (name: string) => order('run-duty', { duty: name });
  const checks = async () => JSON.parse((await order('run-checks', {})).result ?? '').sentences;

  it('brings each reading to the collector once, through an outage of it and an end of the agent', async () => {
    const first = appliance.run(program);
    expect(await duty('read')).toMatchObject({ state: 'succeeded' });
    expect(await order('run-order', { order: 'read-now' })).toMatchObject({
      result: expect.stringContaining('"kW":4.2'),
    });
    collector.isDown = true;
    expect(await duty('forward')).toMatchObject({ state: 'failed', error: expect.stringContaining('status 503') });
    first.kill('SIGKILL');
    await first.exit();

    appliance.run(program);
    expect(await duty('read')).toMatchObject({ state: 'succeeded' });
    collector.isDown = false;
    expect(await duty('forward')).toMatchObject({ state: 'succeeded' });
    const kept = [...collector.rows.values()].map(({ kWh }) => kWh);
    // The meter counts with each question: what it counted is there without a gap, and nothing twice.
    expect(kept.length).toBeGreaterThanOrEqual(3);
    expect(kept.map((kWh) => Math.round((kWh - (kept[0] ?? 0)) * 10))).toEqual(kept.map((_, i) => i));
  });

  it('tells of an overload and of its end as records, and shows it as a check', async () => {
    appliance.run(program);
    await duty('read');
    meter.power = 12.5;
    await duty('read');
    await duty('read');
    await duty('meter');
    expect((await checks()).meter).toBe('The power is above its limit. (12.5 kW) Switch off what can wait.');
    meter.power = 3;
    await duty('read');
    await duty('meter');
    expect((await checks()).meter).toBe('The meter answers. (3 kW)');
    const names = await until('both records', () => {
      const found = appliance.server.records().filter(({ name }) => name.startsWith('read/'));
      return found.length >= 2 ? found.map(({ name }) => name) : null;
    });
    expect(names).toEqual(['read/1', 'read/2']);
  });

  it('says what is wrong with a meter that is silent, and reads it again when it speaks', async () => {
    appliance.run(program);
    meter.isSilent = true;
    expect(await duty('read')).toMatchObject({ state: 'failed', error: 'timed-out: it did not end within 5000 ms' });
    await duty('meter');
    expect((await checks()).meter).toBe('The meter was not read since the start.');
    meter.isSilent = false;
    expect(await duty('read')).toMatchObject({ state: 'succeeded' });
  });
});
