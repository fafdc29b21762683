import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bell } from '../../../agent/bell.ts';
import { type Budget, type Duty, type RunOutcome, usualBudget } from '../../../agent/duties/definition.ts';
import { type DutyProgress, noProgress } from '../../../agent/duties/progress-of-duty.ts';
import { Scheduler } from '../../../agent/duties/scheduler.ts';
import type { SchedulerParts } from '../../../agent/duties/scheduler-parts.ts';

const minuteMs = 60_000;
/** The time that the timers are at. */
const nowMs = () => vi.getMockedSystemTime()?.getTime() ?? 0;
let kept: Map<string, DutyProgress>;
let lines: string[];
let stop: AbortController;
let aheadS: number;
let clockIsWrong: boolean;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-07-01T00:00:30Z') });
  [kept, lines, stop, aheadS, clockIsWrong] = [new Map(), [], new AbortController(), 0, false];
});
afterEach(() => {
  stop.abort();
  vi.useRealTimers();
});

function partsOf(more: Partial<SchedulerParts> = {}): SchedulerParts {
  const begunMs = nowMs();
  const note = (facts: object, message: string) => void lines.push(`${message} ${JSON.stringify(facts)}`);
  return {
    clock: { monoMs: () => nowMs() - begunMs, wallS: () => Math.floor(nowMs() / 1_000) + aheadS },
    boot: 'a',
    random: () => 0.5,
    store: { read: (name) => kept.get(name) ?? noProgress, write: (name, progress) => void kept.set(name, progress) },
    log: { info: note, warn: note, error: note },
    clockIsWrong: () => clockIsWrong,
    ...more,
  };
}

function start(duties: Duty[], more?: Partial<SchedulerParts>) {
  const scheduler = new Scheduler(partsOf(more), duties);
  const signal = stop.signal;
  const over = scheduler.run(new Bell(), signal);
  return { scheduler, over };
}

/** A duty that notes when it ran, in whole seconds since the test began. */
function noting(over: Partial<Duty>, conduct: (run: number, signal: AbortSignal) => Promise<RunOutcome> = done) {
  const begunMs = nowMs();
  const ranAtS: number[] = [];
  const duty: Duty = {
    name: 'meter',
    schedule: { everyMs: 10_000 },
    budget: usualBudget,
    atOnce: true,
    run: (signal) => {
      ranAtS.push(Math.floor((nowMs() - begunMs) / 1_000));
      return conduct(ranAtS.length, signal);
    },
    ...over,
  };
  return { duty, ranAtS };
}
const done = (): Promise<RunOutcome> => Promise.resolve({ outcome: 'done', result: 7 });
const failing = (): Promise<RunOutcome> => Promise.resolve({ outcome: 'failed', code: 'threw', error: 'no meter' });
const never = () => new Promise<RunOutcome>(() => undefined);

describe('an interval', () => {
  it('runs at once where it asks for that, then at its interval', async () => {
    const { duty, ranAtS } = noting({});
    start([duty]);
    await vi.advanceTimersByTimeAsync(35_000);
    expect(ranAtS).toEqual([0, 10, 20, 30]);
  });

  it('spreads its first run over the interval, a minute at most', async () => {
    const short = noting({ name: 'short', atOnce: false });
    const long = noting({ name: 'long', atOnce: false, schedule: { everyMs: 60 * minuteMs } });
    start([short.duty, long.duty]);
    await vi.advanceTimersByTimeAsync(40_000);
    expect([short.ranAtS[0], long.ranAtS]).toEqual([5, [30]]);
  });

  it('catches nothing up after a standstill', async () => {
    const { duty, ranAtS } = noting({});
    let standsMs = 0;
    const begunMs = nowMs();
    const clock = { monoMs: () => nowMs() - begunMs + standsMs, wallS: () => 0 };
    start([duty], { clock });
    await vi.advanceTimersByTimeAsync(5_000);
    standsMs = 60 * minuteMs;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(ranAtS.length).toBe(2);
  });

  it('is not started a second time while it runs, and delays nobody', async () => {
    const hung = noting({ name: 'hung' }, never);
    const well = noting({ name: 'well' });
    const { scheduler } = start([hung.duty, well.duty]);
    await vi.advanceTimersByTimeAsync(35_000);
    expect([hung.ranAtS, well.ranAtS]).toEqual([[0], [0, 10, 20, 30]]);
    expect(scheduler.views()[0]).toMatchObject({ name: 'hung', state: 'running' });
  });

  it('waits for its turn where as many as may are running', async () => {
    const hung = Array.from({ length: 8 }, (_, i) => noting({ name: `hung-${i}` }, never));
    const ends: (() => void)[] = [];
    const last = noting({ name: 'last' });
    const freed = noting(
      { name: 'freed' },
      () => new Promise((resolve) => ends.push(() => resolve({ outcome: 'done', result: 1 }))),
    );
    start([freed.duty, ...hung.slice(0, 7).map(({ duty }) => duty), last.duty]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(last.ranAtS).toEqual([]);
    ends[0]?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(last.ranAtS).toEqual([5]);
  });
});

describe('a calendar', () => {
  const everyFive = { schedule: { calendar: '*/5 * * * *', timeZone: 'UTC' } };

  it('runs in its minutes', async () => {
    const { duty, ranAtS } = noting(everyFive);
    start([duty]);
    await vi.advanceTimersByTimeAsync(11 * minuteMs);
    expect(ranAtS.map((s) => Math.floor(s / 60))).toEqual([4, 9]);
  });

  it('is held back while the clock is known to be wrong, and never runs twice for one due time', async () => {
    const { duty, ranAtS } = noting(everyFive);
    clockIsWrong = true;
    start([duty]);
    await vi.advanceTimersByTimeAsync(7 * minuteMs);
    expect(ranAtS).toEqual([]);
    clockIsWrong = false;
    await vi.advanceTimersByTimeAsync(2_000);
    // What was due meanwhile, once.
    expect(ranAtS.length).toBe(1);
    aheadS = -180;
    await vi.advanceTimersByTimeAsync(5 * minuteMs);
    expect(ranAtS.length).toBe(1);
    await vi.advanceTimersByTimeAsync(3 * minuteMs);
    expect(ranAtS.length).toBe(2);
  });

  it('remembers over a restart what was taken', async () => {
    const first = noting(everyFive);
    start([first.duty]);
    await vi.advanceTimersByTimeAsync(4 * minuteMs + 31_000);
    stop.abort();
    stop = new AbortController();
    expect([first.ranAtS.length, kept.get('meter')?.taken]).toEqual([1, '2026-07-01 00:05']);
    aheadS = -120;
    const second = noting(everyFive);
    start([second.duty]);
    await vi.advanceTimersByTimeAsync(3 * minuteMs);
    expect(second.ranAtS).toEqual([]);
  });
});

describe('a duty that fails', () => {
  const budget: Budget = { timeoutMs: 1_000, attempts: 2, retryMs: 2_000, failures: 2, openMs: 60_000 };

  it('is tried again after its pause, then left alone, then tried once, and is well after one success', async () => {
    let works = false;
    const { duty, ranAtS } = noting({ budget }, () => (works ? done() : failing()));
    const { scheduler } = start([duty]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(ranAtS).toEqual([0, 2, 10, 12]);
    expect(scheduler.views()[0]).toMatchObject({ state: 'open', nextInMs: 52_000, failures: 2 });
    expect(scheduler.views()[0]?.last?.error).toBe('threw: no meter');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ranAtS).toEqual([0, 2, 10, 12, 72]);
    expect(scheduler.views()[0]).toMatchObject({ state: 'open', nextInMs: 112_000 });
    works = true;
    await vi.advanceTimersByTimeAsync(125_000);
    expect(ranAtS.slice(5)).toEqual([192, 200]);
    expect(scheduler.views()[0]).toMatchObject({ state: 'waiting', failures: 0 });
    expect(lines.filter((line) => line.includes('again and again')).length).toBe(1);
  });

  it('stays left alone over a restart', async () => {
    start([noting({ budget }, failing).duty]);
    await vi.advanceTimersByTimeAsync(20_000);
    stop.abort();
    stop = new AbortController();
    const again = noting({ budget }, failing);
    const { scheduler } = start([again.duty], { boot: 'b' });
    await vi.advanceTimersByTimeAsync(59_000);
    expect([again.ranAtS, scheduler.views()[0]?.state]).toEqual([[], 'open']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(again.ranAtS).toEqual([60]);
  });

  it('once a day is tried again after a restart, too', async () => {
    const daily = { schedule: { everyMs: 24 * 60 * minuteMs }, budget };
    start([noting(daily, failing).duty]);
    await vi.advanceTimersByTimeAsync(500);
    stop.abort();
    await vi.advanceTimersByTimeAsync(0);
    stop = new AbortController();
    const again = noting(daily);
    start([again.duty]);
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect(again.ranAtS).toEqual([2]);
  });

  it('by ending the agent is left alone after as many starts', async () => {
    for (let i = 0; i < 4; i += 1) {
      start([noting({ budget }, never).duty]);
      await vi.advanceTimersByTimeAsync(2_500);
      // A crash writes nothing more.
      const crashed = new Map(kept);
      stop.abort();
      await vi.advanceTimersByTimeAsync(0);
      [kept, stop] = [crashed, new AbortController()];
    }
    const fifth = noting({ budget }, never);
    const { scheduler } = start([fifth.duty]);
    await vi.advanceTimersByTimeAsync(2_500);
    expect([fifth.ranAtS, scheduler.views()[0]?.state]).toEqual([[], 'open']);
  });

  it('is not blamed for a stop of the agent, and is told of it', async () => {
    let told = false;
    const { duty } = noting({ budget }, (_, signal) => {
      signal.addEventListener('abort', () => {
        told = true;
      });
      return never();
    });
    const { over } = start([duty]);
    await vi.advanceTimersByTimeAsync(1_000);
    stop.abort();
    await over;
    expect([told, kept.get('meter')]).toEqual([true, { ...noProgress }]);
  });

  it('runs on where its end cannot be noted, and the log says so once', async () => {
    const store = {
      read: () => noProgress,
      write: () => {
        throw new Sqlite.SqliteError('database or disk is full', 'SQLITE_FULL');
      },
    };
    const { duty, ranAtS } = noting({});
    start([duty], { store });
    await vi.advanceTimersByTimeAsync(25_000);
    expect(ranAtS).toEqual([0, 10, 20]);
    expect(lines.filter((line) => line.includes('cannot be noted')).length).toBe(1);
  });
});

describe('a run that somebody asks for', () => {
  it('begins at once, also through an open breaker, and its outcome comes back', async () => {
    const budget: Budget = { ...usualBudget, attempts: 1, failures: 1 };
    let works = false;
    const { scheduler } = start([noting({ budget }, () => (works ? done() : failing())).duty]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(scheduler.views()[0]?.state).toBe('open');
    works = true;
    expect(await scheduler.runNow('meter')).toEqual({ outcome: 'done', result: 7 });
    expect(scheduler.views()[0]?.state).toBe('waiting');
    expect(scheduler.runNow('nobody')).toBeNull();
  });

  it('that is asked for while another one is under way has a run of its own after it', async () => {
    const { promise, resolve } = Promise.withResolvers<RunOutcome>();
    const { scheduler } = start([noting({}, (run) => (run === 1 ? promise : done())).duty]);
    await vi.advanceTimersByTimeAsync(0);
    const asked = scheduler.runNow('meter');
    resolve({ outcome: 'failed', code: 'threw', error: 'it began before' });
    expect(await asked).toEqual({ outcome: 'done', result: 7 });
  });

  it('that the stop of the agent cuts off ends with that word', async () => {
    const { scheduler } = start([noting({}, never).duty]);
    await vi.advanceTimersByTimeAsync(1_000);
    const asked = scheduler.runNow('meter');
    stop.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(await asked).toMatchObject({ outcome: 'failed', code: 'cut-off' });
  });
});

describe('the turns of the scheduler', () => {
  it('rise while a duty hangs, at least once a second', async () => {
    const { scheduler } = start([noting({ schedule: { everyMs: 60 * minuteMs } }, never).duty]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(scheduler.turns).toBeGreaterThanOrEqual(10);
  });

  it('refuse two duties of one name', () => {
    expect(() => new Scheduler(partsOf(), [noting({}).duty, noting({}).duty])).toThrow(RangeError);
  });
});
