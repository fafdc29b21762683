import { describe, expect, it } from 'vitest';
import type { Budget, RunOutcome } from '../../../agent/duties/definition.ts';
import {
  afterRestart,
  begun,
  type DutyProgress,
  ended,
  noProgress,
  waitMs,
} from '../../../agent/duties/progress-of-duty.ts';

const budget: Budget = { timeoutMs: 1_000, attempts: 2, retryMs: 10_000, failures: 3, openMs: 60_000 };
const failure: RunOutcome = { outcome: 'failed', code: 'threw', error: 'the meter does not answer' };
const done: RunOutcome = { outcome: 'done', result: null };
const at = (monoMs: number, boot = 'a') => ({ boot, monoMs });

/** Runs that all end the same way, one a second, whatever they would have to wait. */
function runs(outcome: RunOutcome, count: number, from: DutyProgress = noProgress, startMs = 0): DutyProgress {
  let progress = from;
  for (let i = 0; i < count; i += 1) {
    progress = ended(begun(progress, at(startMs + i * 1_000), ''), budget, outcome, at(startMs + i * 1_000 + 400));
  }
  return progress;
}

describe('the budget of a duty', () => {
  it('gives each due time its attempts, with a growing pause', () => {
    const wide = { ...budget, attempts: 4 };
    let progress = ended(begun(noProgress, at(0), ''), wide, failure, at(0));
    expect([progress.attempts, waitMs(progress, wide, at(0))]).toEqual([1, 10_000]);
    progress = ended(begun(progress, at(10_000), ''), wide, failure, at(10_000));
    expect([progress.attempts, waitMs(progress, wide, at(15_000))]).toEqual([2, 15_000]);
    expect(waitMs(progress, wide, at(60_000))).toBe(0);
  });

  it('opens the breaker after due times that failed in a row, and not before', () => {
    expect(runs(failure, 5)).toMatchObject({ attempts: 1, failures: 2, open: null });
    const open = runs(failure, 6);
    expect(open).toMatchObject({ attempts: 0, failures: 3, opened: 1, open: { forMs: 60_000 } });
    expect(open.last?.error).toBe('threw: the meter does not answer');
    expect(waitMs(open, budget, at(5_400 + 59_000))).toBe(1_000);
    expect(waitMs(open, budget, at(5_400 + 60_000))).toBe(0);
  });

  it('lets one run through an open breaker; a failure opens it for twice as long, up to a day', () => {
    const again = runs(failure, 1, runs(failure, 6), 100_000);
    expect(again).toMatchObject({ opened: 2, open: { forMs: 120_000, since: at(100_400) } });
    expect(runs(failure, 40, again, 200_000).open?.forMs).toBe(24 * 60 * 60_000);
  });

  it('is whole again after one success', () => {
    const well = runs(done, 1, runs(failure, 6));
    expect(well).toEqual({ ...noProgress, last: { at: at(400), tookMs: 400, outcome: 'done', error: '' } });
  });

  it('keeps the due time that was taken, and cuts a long error with an ellipsis', () => {
    const long: RunOutcome = { outcome: 'failed', code: 'threw', error: 'x'.repeat(10_000) };
    const failed = ended(begun(noProgress, at(0), '2026-07-01 02:30'), budget, long, at(1));
    expect(failed.taken).toBe('2026-07-01 02:30');
    expect(failed.last?.error.length).toBeLessThan(520);
    expect(failed.last?.error.endsWith('…')).toBe(true);
    expect(ended(begun(failed, at(2), ''), budget, done, at(3)).taken).toBe('2026-07-01 02:30');
  });
});

describe('a restart', () => {
  it('counts a run that never ended as failed, up to the open breaker', () => {
    let progress = noProgress;
    for (let i = 0; i < 6; i += 1) {
      progress = afterRestart(begun(progress, at(i), ''), budget, at(i + 1), 'the agent ended while it ran');
    }
    expect(progress).toMatchObject({ failures: 3, opened: 1, runningSince: null });
    expect(progress.last?.error).toBe('cut-off: the agent ended while it ran');
  });

  it('in the same boot leaves the rest of an open breaker, and in another one begins it anew', () => {
    const open = runs(failure, 6);
    expect(waitMs(afterRestart(open, budget, at(35_400), ''), budget, at(35_400))).toBe(30_000);
    const rebooted = afterRestart(open, budget, at(1_000, 'b'), '');
    expect(waitMs(rebooted, budget, at(1_000, 'b'))).toBe(60_000);
    expect(waitMs(rebooted, budget, at(31_000, 'b'))).toBe(30_000);
  });

  it('changes nothing where nothing ran', () => {
    const once = runs(failure, 1);
    expect(afterRestart(once, budget, at(9_000), '')).toEqual(once);
  });
});
