import { defineCheck, defineDuty, defineOrder, type WorkContext } from 'holdfast/agent';
import { z } from 'zod';
import { isAlarm } from './alarm.ts';
import { send } from './forward.ts';
import { type Reading, readingShape, readMeter } from './meter.ts';
import { collectorUrl, limitKw, meterHost, meterPort } from './settings.ts';

export { collectorUrl, limitKw, meterHost, meterPort };

/** A gateway: it reads a meter, keeps the readings until a collector has them, and raises an alarm. */

const readMs = 10_000;
const rowsAtOnce = 500;
/** Readings that wait, an hour's. */
const waitingWarn = 360;

const lastShape = z.object({ monoMs: z.number(), kW: z.number(), isAlarm: z.boolean() });

async function take(context: WorkContext): Promise<Reading> {
  const { assets, clock, records, settings, signal, store, table } = context;
  if (assets === null) throw new Error('the release has no assets/registers.json');
  const address = { host: settings.get(meterHost), port: settings.get(meterPort) };
  const reading = await readMeter(address, assets, signal);
  await table.add({ atS: clock.wallS(), ...reading });
  const limit = settings.get(limitKw);
  const before = lastShape.safeParse(await store.get('last')).data?.isAlarm ?? false;
  const alarm = isAlarm(before, reading.kW, limit);
  // The change is evidence: the server has it, whatever becomes of this appliance.
  if (alarm !== before) await records.add({ alarm, kW: reading.kW, limitKw: limit });
  await store.set('last', { monoMs: clock.monoMs(), kW: reading.kW, isAlarm: alarm });
  return reading;
}

export const read = defineDuty({
  name: 'read',
  schedule: { everyMs: readMs, jitter: 0.1 },
  budget: { timeoutMs: 5_000, attempts: 2, retryMs: 1_000, failures: 6, openMs: 60_000 },
  result: readingShape,
  run: take,
});

export const forward = defineDuty({
  name: 'forward',
  sees: 'read',
  schedule: { everyMs: 30_000, jitter: 0.1 },
  result: z.object({ sent: z.number() }),
  run: async ({ settings, signal, table }) => {
    const url = settings.get(collectorUrl);
    let sent = 0;
    while (url !== '') {
      const rows = await table.rows({ limit: rowsAtOnce });
      const last = rows.at(-1);
      if (last === undefined) break;
      await send(url, rows, signal);
      await table.removeUpTo(last.n);
      sent += rows.length;
    }
    return { sent };
  },
});

export const meter = defineCheck({
  name: 'meter',
  sees: 'read',
  everyMs: 5_000,
  run: async ({ clock, store }) => {
    const last = lastShape.safeParse(await store.get('last')).data;
    const ageMs = last === undefined ? null : clock.monoMs() - last.monoMs;
    // A negative age is one of an earlier boot.
    if (last === undefined || ageMs === null || ageMs < 0) {
      return { status: 'unknown', sentence: 'The meter was not read since the start.' };
    }
    if (ageMs > 6 * readMs) {
      return { status: 'fail', sentence: 'The meter does not answer.', next: 'Look at its cable and its power.' };
    }
    const power = { value: last.kW, unit: 'kW' };
    return last.isAlarm
      ? { status: 'warn', sentence: 'The power is above its limit.', ...power, next: 'Switch off what can wait.' }
      : { status: 'ok', sentence: 'The meter answers.', ...power };
  },
});

export const backlog = defineCheck({
  name: 'backlog',
  sees: 'read',
  everyMs: 30_000,
  run: async ({ settings, table }) => {
    const value = await table.count();
    const size = { value, unit: 'readings' };
    if (settings.get(collectorUrl) === '') return { status: 'ok', sentence: 'Readings are kept here only.', ...size };
    return value < waitingWarn
      ? { status: 'ok', sentence: 'Readings are sent.', ...size }
      : { status: 'warn', sentence: 'Readings wait to be sent.', ...size, next: 'Look at the collector.' };
  },
});

export const readNow = defineOrder({
  name: 'read-now',
  sees: 'read',
  result: readingShape,
  run: take,
});
