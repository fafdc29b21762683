import { Worker } from 'node:worker_threads';
import type { Duty, RunFailure, RunOutcome } from '../duties/definition.ts';
import { dutyTexts } from '../texts.ts';
import { fromThreadShape, type ThreadStart, type ToThread } from './messages.ts';

/** JavaScript objects of one thread, in MB; with buffers and the like it may have twice as much. */
const heapMegabytesMax = 64;
const memoryBytesMax = 2 * heapMegabytesMax * 1024 * 1024;
const lookAtMemoryMs = 1_000;
/** A thread whose duty is due again within this time is kept; its memory is the price of not starting it again. */
const keptForMs = 60_000;

/** What a thread may ask of the agent, or a promise of it. @throws an error whose message the work gets */
export type Answer = (method: string, args: unknown) => unknown;

export interface ThreadParts {
  /** The thread's program. */
  readonly entry: URL;
  readonly start: ThreadStart;
  /** A run begins. */
  begin?(): void;
  readonly answer: Answer;
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void;
}

/**
 * A duty that runs in a thread of its own. Whatever it does there ends at its deadline, and it can use up neither the
 * agent's time nor, beyond a bound, its memory.
 */
export function threadDuty(duty: Omit<Duty, 'run'>, parts: ThreadParts): Duty {
  const isKept = 'everyMs' in duty.schedule && duty.schedule.everyMs <= keptForMs;
  let thread: Thread | null = null;
  return {
    ...duty,
    async run(signal) {
      thread ??= new Thread(parts);
      const current = thread;
      const outcome = await current.run(duty.budget.timeoutMs, signal);
      // One that failed may be in any condition; the next run begins with a new one.
      if (!isKept || outcome.outcome === 'failed') {
        if (thread === current) thread = null;
        await current.end();
      }
      return outcome;
    },
  };
}

/** A run in a new thread, which ends with it. */
export async function oneRun(parts: ThreadParts, timeoutMs: number, signal: AbortSignal): Promise<RunOutcome> {
  const thread = new Thread(parts);
  try {
    return await thread.run(timeoutMs, signal);
  } finally {
    await thread.end();
  }
}

class Thread {
  readonly #parts: ThreadParts;
  readonly #worker: Worker;
  #settle: ((outcome: RunOutcome) => void) | null = null;

  constructor(parts: ThreadParts) {
    this.#parts = parts;
    this.#worker = new Worker(parts.entry, {
      workerData: parts.start,
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytesMax, maxYoungGenerationSizeMb: 16 },
      // What is written past the console of the thread is dropped there; nothing of it reaches the agent's own output.
      stdout: true,
      stderr: true,
      env: {},
    });
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    this.#worker.on('message', (message: unknown) => this.#take(message));
    this.#worker.on('error', (error) => this.#fail('ended', String(error)));
    this.#worker.on('exit', (code) => this.#fail('ended', dutyTexts.threadEnded(code)));
    this.#worker.unref();
  }

  async run(timeoutMs: number, signal: AbortSignal): Promise<RunOutcome> {
    const end = new Promise<RunOutcome>((resolve) => {
      this.#settle = resolve;
    });
    const deadline = setTimeout(() => this.#fail('timed-out', dutyTexts.timedOut(timeoutMs)), timeoutMs);
    const memory = setInterval(() => void this.#lookAtMemory(), lookAtMemoryMs);
    const abort = () => this.#say({ type: 'abort' });
    signal.addEventListener('abort', abort, { once: true });
    this.#parts.begin?.();
    this.#say({ type: 'run' });
    try {
      return await end;
    } finally {
      this.#settle = null;
      clearTimeout(deadline);
      clearInterval(memory);
      signal.removeEventListener('abort', abort);
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #say(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #fail(code: RunFailure, error: string): void {
    this.#settle?.({ outcome: 'failed', code, error });
  }

  #take(said: unknown): void {
    const parsed = fromThreadShape.safeParse(said);
    if (!parsed.success) return;
    const message = parsed.data;
    if (message.type === 'log') this.#parts.log(message.level, message.text);
    else if (message.type === 'call') void this.#answer(message.call, message.method, message.json);
    else if (message.type === 'failed') this.#fail(message.code, message.error);
    else this.#done(message.json);
  }

  #done(json: string): void {
    try {
      this.#settle?.({ outcome: 'done', result: JSON.parse(json) });
    } catch (error) {
      this.#fail('threw', String(error));
    }
  }

  async #answer(call: number, method: string, json: string): Promise<void> {
    try {
      const value = await this.#parts.answer(method, JSON.parse(json));
      this.#say({ type: 'answer', call, json: JSON.stringify(value) ?? 'null' });
    } catch (error) {
      this.#say({ type: 'refusal', call, error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Buffers are not counted by V8's own bound. */
  async #lookAtMemory(): Promise<void> {
    try {
      const { external_memory: external, used_heap_size: used } = await this.#worker.getHeapStatistics();
      if (external + used > memoryBytesMax) this.#fail('ended', dutyTexts.tooMuchMemory(memoryBytesMax / 1024 / 1024));
    } catch (error) {
      // The thread has ended: its end is told by itself.
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_NOT_RUNNING')) throw error;
    }
  }
}
