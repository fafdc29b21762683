import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { usualBudget } from '../../../agent/duties/definition.ts';
import { inlineDuty } from '../../../agent/duties/inline.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a duty of the agent itself', () => {
  const inline = (timeoutMs: number, work: (signal: AbortSignal) => Promise<unknown>) =>
    inlineDuty({ name: 'own', schedule: { everyMs: 1_000 }, budget: { ...usualBudget, timeoutMs } }, work);
  const { signal } = new AbortController();

  it('has its result, or what it threw, before or after the first wait', async () => {
    expect(await inline(100, () => Promise.resolve(5)).run(signal)).toEqual({ outcome: 'done', result: 5 });
    const thrower = inline(100, () => {
      throw new TypeError('at once');
    });
    expect(await thrower.run(signal)).toMatchObject({
      code: 'threw',
      error: expect.stringMatching(/^TypeError: at once/),
    });
    const rejects = inline(100, () => Promise.reject(new Error('later')));
    expect(await rejects.run(signal)).toMatchObject({ code: 'threw', error: expect.stringContaining('later') });
  });

  it('that hangs is ended for others at its deadline, told so, and not begun twice', async () => {
    let aborted = 0;
    let end = () => {};
    const hung = inline(1_000, (given) => {
      given.addEventListener('abort', () => {
        aborted += 1;
      });
      return new Promise<void>((_, reject) => {
        end = () => reject(new Error('much later'));
      });
    });
    const first = hung.run(signal);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([await first, aborted]).toEqual([
      { outcome: 'failed', code: 'timed-out', error: 'it did not end within 1000 ms' },
      1,
    ]);
    expect(await hung.run(signal)).toMatchObject({ code: 'timed-out', error: 'its last run has still not ended' });
    end();
    await vi.advanceTimersByTimeAsync(0);
    void hung.run(signal);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(aborted).toBe(2);
  });
});
