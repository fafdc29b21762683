import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';
import { timedFiles, timedFolders, waitViolations } from './waits.ts';

const sources = readSources(checkoutRoot);

describe('the tests', () => {
  it('wait for events, and judge no seconds', () => {
    expect(waitViolations(sources)).toEqual([]);
  });

  it('have no exception that nobody needs', () => {
    const paths = sources.map(({ path }) => path);
    const gone = Object.keys(timedFolders).filter((folder) => !paths.some((path) => path.startsWith(folder)));
    expect([...gone, ...Object.keys(timedFiles).filter((path) => !paths.includes(path))]).toEqual([]);
  });
});

describe('the rules about waits', () => {
  it.each([
    ['a sleep', "import { setTimeout as delay } from 'node:timers/promises';\nawait delay(100);"],
    ['a sleep by hand', 'await new Promise((done) => setTimeout(done, 100));'],
    ['a sleep that is handed on', 'await promisify(setTimeout)(100);'],
    ['a duration', 'const at = performance.now();'],
    ['a duration by the other clock', 'const at = process.hrtime.bigint();'],
    ['a duration by the wall clock', 'expect(Date.now() - startedMs).toBeLessThan(5);'],
    ['a wait with a bound of its own', "await until('it comes', 5_000, () => null);"],
    ['a wait with a bound that has a name', "await until('it comes', soonMs, () => null);"],
    ["a wait of vitest's with a bound of its own", 'await vi.waitFor(() => a(), { timeout: 5_000 });'],
    ['a bound with a name', 'const comesWithinMs = 5_000;'],
    ['a test with a time-out of its own', "it('b', async () => { await c(); }, 5_000);"],
    ['a table with a time-out of its own', "it.each([1])('b', { timeout: 5_000 }, async () => { await c(); });"],
    ['a hook with a time-out of its own', 'beforeAll(async () => { await c(); }, 5_000);'],
  ])('find %s', (_, text) => {
    expect(waitViolations(plantSources({ 'test/a.test.ts': text })).map(({ path }) => path)).toEqual([
      'test/a.test.ts',
    ]);
  });

  it('let pass what is allowed', () => {
    const planted = plantSources({
      'test/bench/a.ts': 'const at = performance.now();',
      'test/a.test.ts': "await until('it comes', patienceMs, () => null);\nconst ended = Date.now() - 60_000;",
      'agent/a.ts': 'await new Promise((done) => setTimeout(done, 100));',
    });
    expect(waitViolations(planted)).toEqual([]);
  });
});
