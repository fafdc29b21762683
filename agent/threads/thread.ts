import { format } from 'node:util';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { cut } from '../../protocol/text.ts';
import { dutyTexts } from '../texts.ts';
import { workContext } from './context.ts';
import { type Made, madeIn, type WorkContext } from './made.ts';
import {
  type FromThread,
  type ThreadStart,
  type ToThread,
  threadCallsMax,
  threadJsonCharsMax,
  threadLineCharsMax,
  threadLinesMax,
} from './messages.ts';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The module cannot be loaded in its thread, or does not have what the release says. */
class NotLoadedError extends Error {}

/** The thread of one piece of work: everything that a maker's code does happens here, and may block it for as long as it likes. */
class WorkThread {
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
      const exports = await this.#load();
      const found = madeIn(exports).find(({ kind, name }) => kind === this.#start.kind && name === this.#start.name);
      if (found === undefined) throw new NotLoadedError(dutyTexts.notInModule(this.#start.name, this.#start.module));
      const result = await this.#work(found, running.signal, madeIn(exports));
      this.#say({ type: 'done', json: jsonOf(result) });
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const code = error instanceof NotLoadedError ? 'not-loaded' : 'threw';
      this.#say({ type: 'failed', code, error: cut(text, threadJsonCharsMax) });
    } finally {
      this.#running = null;
    }
  }

  async #load(): Promise<Record<string, unknown>> {
    try {
      return (await import(this.#start.module)) as Record<string, unknown>;
    } catch (cause) {
      const error = new NotLoadedError(String(cause), { cause });
      if (cause instanceof Error && cause.stack !== undefined) error.stack = cause.stack;
      throw error;
    }
  }

  async #work(made: Made, signal: AbortSignal, all: readonly Made[]): Promise<unknown> {
    const context = this.#context(signal, all);
    switch (made.kind) {
      case 'duty': {
        const result = await made.run(context);
        const checked = made.result === undefined ? result : made.result.parse(result);
        if (made.isRecorded === true) await context.records.add(checked);
        return checked;
      }
      case 'check':
        return await made.run(context);
      case 'order': {
        const { args = {} } = this.#start;
        const result = await made.run({ ...context, args: (made.args?.parse(args) ?? args) as never });
        return made.result === undefined ? result : made.result.parse(result);
      }
      case 'setting':
      case 'secret':
        throw new NotLoadedError(dutyTexts.notInModule(made.name, this.#start.module));
    }
  }

  #context(signal: AbortSignal, all: readonly Made[]): WorkContext {
    return workContext({
      signal,
      settings: this.#start.settings,
      defined: all.filter((made) => made.kind === 'setting'),
      assets: this.#start.assets,
      call: (method, ...args) => this.#call(method, ...args),
      log: (level, ...words) => this.log(level, ...words),
    });
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
const thread = new WorkThread(parentPort, workerData as ThreadStart);
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
