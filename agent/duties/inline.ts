import { dutyTexts } from '../texts.ts';
import type { Duty, RunOutcome } from './definition.ts';

/**
 * A duty of the agent's own that runs on its main thread: it waits for files and processes, and computes nothing long.
 * When its deadline passes, the run has failed, and no further one begins before that one has ended.
 */
export function inlineDuty(duty: Omit<Duty, 'run'>, work: (signal: AbortSignal) => Promise<unknown>): Duty {
  let lingers = false;
  return {
    ...duty,
    async run(signal) {
      if (lingers) return { outcome: 'failed', code: 'timed-out', error: dutyTexts.stillRuns };
      const stopping = new AbortController();
      lingers = true;
      const end = outcomeOf(() => work(AbortSignal.any([signal, stopping.signal]))).finally(() => {
        lingers = false;
      });
      const { timeoutMs } = duty.budget;
      let timer: NodeJS.Timeout | undefined;
      const overdue = new Promise<RunOutcome>((resolve) => {
        timer = setTimeout(() => {
          resolve({ outcome: 'failed', code: 'timed-out', error: dutyTexts.timedOut(timeoutMs) });
        }, timeoutMs);
      });
      const outcome = await Promise.race([end, overdue]);
      clearTimeout(timer);
      stopping.abort();
      return outcome;
    },
  };
}

async function outcomeOf(work: () => Promise<unknown>): Promise<RunOutcome> {
  try {
    return { outcome: 'done', result: await work() };
  } catch (error) {
    return {
      outcome: 'failed',
      code: 'threw',
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}
