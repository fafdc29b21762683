import { format } from 'node:util';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { cut } from '../../protocol/text.ts';
import { systemClock } from '../effects/clock.ts';
import { dutyTexts } from '../texts.ts';
import { type DutyContext, isMadeDuty, type MadeDuty } from './made-duty.ts';
import {
  type FromThread,
  type ThreadStart,
  type ToThread,
  threadCallsMax,
  threadJsonCharsMax,
  threadLineCharsMax,
  threadLinesMax,
} from './thread-messages.ts';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The thread of one duty: everything that a maker's code does happens here, and may block it for as long as it likes. */
class DutyThread {
  readonly #port: MessagePort;
  readonly #start: ThreadStart;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  #linesLeft = 0;
  #running: AbortController | null = null;

  constructor(port: MessagePort, start: ThreadStart) {
    this.#port = port;
    this.#start = start;
  }

  take(message: ToThread): void {
    if (message.type === 'run') void this.#run();
    else if (message.type === 'abort') this.#running?.abort();
    else {
      const asked = this.#waiting.get(message.call);
      this.#waiting.delete(message.call);
      if (message.type === 'answer') asked?.resolve(JSON.parse(message.json));
      else asked?.reject(new Error(message.error));
    }
  }

  log(level: 'info' | 'warn' | 'error', ...words: unknown[]): void {
    this.#linesLeft -= 1;
    if (this.#linesLeft > 0) this.#say({ type: 'log', level, text: cut(format(...words), threadLineCharsMax) });
    else if (this.#linesLeft === 0) {
      this.#say({ type: 'log', level: 'warn', text: dutyTexts.linesLeftOut(threadLinesMax) });
    }
  }

  async #run(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    this.#linesLeft = threadLinesMax;
    try {
      const duty = await this.#load();
      const result = await duty.run(this.#context(running.signal));
      this.#say({ type: 'done', json: jsonOf(duty.result === undefined ? result : duty.result.parse(result)) });
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#say({ type: 'failed', error: cut(text, threadJsonCharsMax) });
    } finally {
      this.#running = null;
    }
  }

  async #load(): Promise<MadeDuty> {
    const { module, duty } = this.#start;
    const exports: Record<string, unknown> = await import(module);
    const found = Object.values(exports)
      .filter(isMadeDuty)
      .find(({ name }) => name === duty);
    if (found === undefined) throw new Error(dutyTexts.notInModule(duty, module));
    return found;
  }

  #context(signal: AbortSignal): DutyContext {
    return {
      signal,
      log: {
        info: (...words) => this.log('info', ...words),
        warn: (...words) => this.log('warn', ...words),
        error: (...words) => this.log('error', ...words),
      },
      clock: systemClock,
      store: {
        get: (key) => this.#call('store.get', key),
        set: async (key, value) => void (await this.#call('store.set', key, value)),
        delete: async (key) => void (await this.#call('store.delete', key)),
      },
    };
  }

  #call(method: string, ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= threadCallsMax) throw new RangeError(dutyTexts.tooManyCalls(threadCallsMax));
      const json = jsonOf(args);
      this.#calls += 1;
      this.#waiting.set(this.#calls, { resolve, reject });
      this.#say({ type: 'call', call: this.#calls, method, json });
    });
  }

  #say(message: FromThread): void {
    this.#port.postMessage(message);
  }
}

function jsonOf(value: unknown): string {
  const json = JSON.stringify(value) ?? 'null';
  if (json.length > threadJsonCharsMax) throw new RangeError(dutyTexts.tooLong(json.length, threadJsonCharsMax));
  return json;
}

if (parentPort === null) throw new TypeError('this is the program of a thread');
const thread = new DutyThread(parentPort, workerData as ThreadStart);
parentPort.on('message', (message: ToThread) => thread.take(message));
// What a library prints belongs to the duty's log, within its bound.
for (const level of ['log', 'info', 'debug', 'warn', 'error'] as const) {
  const as = level === 'error' || level === 'warn' ? level : 'info';
  console[level] = (...words: unknown[]) => thread.log(as, ...words);
}
for (const stream of [process.stdout, process.stderr]) {
  stream.write = (chunk: Uint8Array | string, ...rest: unknown[]) => {
    thread.log('info', String(chunk).trimEnd());
    const written = rest.at(-1);
    // Who waits for its line to be out goes on.
    if (typeof written === 'function') queueMicrotask(() => written());
    return true;
  };
}
// A promise that is rejected after its run is over must not end the thread in the middle of the next run.
process.on('unhandledRejection', (error) => thread.log('error', error));
