import { parentPort } from 'node:worker_threads';
import { z } from 'zod';
import { defineDuty } from '../../../agent/maker/index.ts';

/** Duties that misbehave, each in its own way, as a maker's module has them. */

const schedule = { everyMs: 1_000 };
const forEver = () => new Promise<never>(() => undefined);

export const well = defineDuty({
  name: 'well',
  schedule,
  result: z.object({ value: z.number() }),
  run: async ({ store }) => {
    const before = await store.get('runs');
    const value = typeof before === 'number' ? before + 1 : 1;
    await store.set('runs', value);
    return { value };
  },
});
export const throws = defineDuty({
  name: 'throws',
  schedule,
  run: () => {
    throw new TypeError('the meter speaks another language');
  },
});
export const rejectsLate = defineDuty({
  name: 'rejects-late',
  schedule,
  run: () => {
    setImmediate(() => void Promise.reject(new Error('nobody waits for this')));
    return 'done before that';
  },
});
export const hangs = defineDuty({ name: 'hangs', schedule, run: forEver });
export const blocks = defineDuty({
  name: 'blocks',
  schedule,
  run: () => {
    for (;;);
  },
});
export const leaks = defineDuty({
  name: 'leaks',
  schedule,
  run: () => {
    const kept: string[] = [];
    for (let i = 0; ; i += 1) kept.push(`${i}`.repeat(1_000));
  },
});
export const leaksBuffers = defineDuty({
  name: 'leaks-buffers',
  schedule,
  run: async () => {
    const kept: Buffer[] = [];
    for (;;) {
      kept.push(Buffer.alloc(4 * 1024 * 1024, 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
});
export const floods = defineDuty({
  name: 'floods',
  schedule,
  run: () => {
    for (let i = 0; i < 200_000; i += 1) console.log('x'.repeat(10_000));
    process.stdout.write('and past the console\n');
    return 'written';
  },
});
/** As a library in the thread does that has its own use for its port. */
export const speaksOtherwise = defineDuty({
  name: 'speaks-otherwise',
  schedule,
  run: () => {
    for (const said of [null, 'hello', { type: 'progress' }, { type: 'done' }]) parentPort?.postMessage(said);
    return 'done in spite of that';
  },
});
export const exits = defineDuty({ name: 'exits', schedule, run: () => process.exit(3) });
export const asksWithoutEnd = defineDuty({
  name: 'asks-without-end',
  schedule,
  run: async ({ store }) => {
    for (let i = 0; i < 1_000; i += 1) void store.get(`${i}`).catch(() => undefined);
    await store.get('last');
  },
});
export const saysTooMuch = defineDuty({ name: 'says-too-much', schedule, run: () => 'x'.repeat(100_000) });
export const answersWrong = defineDuty({
  name: 'answers-wrong',
  schedule,
  result: z.object({ value: z.number() }),
  run: () => ({ value: Number('no number') }),
});
export const heedsAbort = defineDuty({
  name: 'heeds-abort',
  schedule,
  run: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('stopped in order'))),
});
