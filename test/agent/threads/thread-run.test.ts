import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { usualBudget } from '../../../agent/duties/definition.ts';
import { threadDuty } from '../../../agent/threads/thread-run.ts';
import { until } from '../agent-process.ts';

const entry = new URL('../../../agent/threads/thread.ts', import.meta.url);
const module = new URL('./planted.ts', import.meta.url).href;
let lines: string[];
let asked: string[];
let stopping: AbortController;
beforeEach(() => {
  [lines, asked, stopping] = [[], [], new AbortController()];
});
afterEach(() => stopping.abort());

function planted(name: string, timeoutMs = 60_000, everyMs = 3_600_000) {
  const values = new Map<unknown, unknown>();
  const budget = { ...usualBudget, timeoutMs };
  const duty = threadDuty(
    { name, schedule: { everyMs }, budget },
    {
      entry,
      start: { module, kind: 'duty', name, settings: {}, assets: null },
      log: (level, text) => lines.push(`${level} ${text}`),
      answer: (method, args) => {
        asked.push(method);
        const [key, value] = args as [unknown, unknown];
        if (method === 'store.get') return values.get(key) ?? null;
        if (method === 'store.set') values.set(key, value);
        return null;
      },
    },
  );
  return () => duty.run(stopping.signal);
}

describe('a duty in a thread of its own', () => {
  it('has its result, and what it keeps is there in its next run, in the same thread or another one', async () => {
    for (const everyMs of [1_000, 3_600_000]) {
      const run = planted('well', 60_000, everyMs);
      expect(await run()).toEqual({ outcome: 'done', result: { value: 1 } });
      expect(await run()).toEqual({ outcome: 'done', result: { value: 2 } });
    }
  });

  it.each<[string, string, RegExp]>([
    ['throws', 'threw', /TypeError: the meter speaks another language\n\s+at /],
    ['exits', 'ended', /ended by itself \(3\)/],
    ['leaks', 'ended', /out of memory|OUT_OF_MEMORY/i],
    ['leaks-buffers', 'ended', /more than 128 MB/],
    ['says-too-much', 'threw', /100002 characters of JSON; at most 16384/],
    ['answers-wrong', 'threw', /ZodError/],
    ['nobody', 'not-loaded', /exports nothing named nobody/],
  ])('that %s has failed: %s', async (name, code, words) => {
    expect(await planted(name)()).toEqual({ outcome: 'failed', code, error: expect.stringMatching(words) });
  });

  it.each(['hangs', 'blocks'])('that %s is ended by its deadline, and runs again', async (name) => {
    const run = planted(name, 300, 1_000);
    for (let i = 0; i < 2; i += 1) {
      expect(await run()).toEqual({ outcome: 'failed', code: 'timed-out', error: 'it did not end within 300 ms' });
    }
  });

  it('that rejects late has its result, and the log has the rest', async () => {
    const run = planted('rejects-late', 60_000, 1_000);
    expect(await run()).toEqual({ outcome: 'done', result: 'done before that' });
    await until('the rejection', () => lines.some((line) => line.includes('nobody waits for this')));
    expect(await run()).toMatchObject({ outcome: 'done' });
  });

  it('that floods its output fills neither the log nor the agent', async () => {
    expect(await planted('floods')()).toEqual({ outcome: 'done', result: 'written' });
    lines = lines.filter((line) => !line.includes('nobody waits'));
    expect(lines.length).toBe(100);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(2_100);
    expect(lines.at(-1)).toContain('further lines of this run are left out');
  });

  it('that asks without end is refused beyond what may wait', async () => {
    expect(await planted('asks-without-end')()).toMatchObject({
      code: 'threw',
      error: expect.stringContaining('32 calls wait'),
    });
    expect(asked.length).toBeLessThanOrEqual(32);
  });

  it('whose libraries send messages of their own is heard all the same', async () => {
    expect(await planted('speaks-otherwise')()).toEqual({ outcome: 'done', result: 'done in spite of that' });
  });

  it('is told of a stop', async () => {
    const end = planted('heeds-abort')();
    stopping.abort();
    expect(await end).toEqual({ outcome: 'done', result: 'stopped in order' });
  });
});

it('a duty that blocks its thread for its whole time delays nothing on the main thread', async () => {
  const run = planted('blocks', 2_000)();
  let over = false;
  void run.then(() => {
    over = true;
  });
  let turns = 0;
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    turns += 1;
  }
  // Not a speed: where the thread held this one up, there would be a turn or two.
  expect(turns).toBeGreaterThan(100);
});
