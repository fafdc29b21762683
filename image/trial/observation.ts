import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import {
  type HealthAnswer,
  healthAnswerShape,
  healthBytesMax,
  healthTimeoutMs,
  type Start,
} from '../../protocol/health.ts';
import { ImageError } from '../errors.ts';

const pollMs = 25;
/** Output that a report quotes, from the end. */
const quotedChars = 600;

/** What is started. */
export interface Started {
  readonly payloadDir: string;
  readonly entry: string;
  /** The Node binary that the release will run on. */
  readonly node: string;
  readonly version: string;
}

export function startAgent({ node, entry, payloadDir }: Started, root: string) {
  return execa(node, [entry, '--root', root], {
    cwd: payloadDir,
    env: { NODE_OPTIONS: '' },
    stdin: 'ignore',
    all: true,
    reject: false,
  });
}
type Child = ReturnType<typeof startAgent>;

/** One start of the built agent, and what is asked of it. */
export class Observation {
  readonly #input: Started;
  readonly #state: string;
  readonly #start: Start;
  readonly #socket: string;
  readonly #child: Child;
  /** Exit status or signal; null while it runs. */
  #end: number | string | null = null;

  constructor(input: Started, state: string, start: Start, socket: string, child: Child) {
    this.#input = input;
    this.#state = state;
    this.#start = start;
    this.#socket = socket;
    this.#child = child;
  }

  /** Follows the process to its end. */
  follow(): void {
    this.#child.then(
      ({ exitCode, signal }) => {
        this.#end = exitCode ?? signal ?? 'no status';
      },
      (error: unknown) => {
        this.#end = String(error);
      },
    );
  }

  /** The first answer that is what was asked for. */
  async until(ms: number, what: () => string, isEnough: (answer: HealthAnswer) => boolean): Promise<HealthAnswer> {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) {
      await this.#requireAlive(what());
      const answer = await this.#ask();
      if (answer !== null && isEnough(answer)) return answer;
      await delay(pollMs);
    }
    throw await this.#failed(`it did not ${what()} within ${ms / 1000} s`);
  }

  /** @throws ImageError when it has to be killed, or ends with an error */
  async stop(ms: number): Promise<void> {
    this.#child.kill('SIGTERM');
    const ended = await Promise.race([this.#child, delay(ms, null)]);
    if (ended === null) throw await this.#failed(`it did not stop within ${ms / 1000} s of SIGTERM`);
    if (ended.exitCode !== 0) throw await this.#failed(`it stopped with ${ended.exitCode ?? ended.signal}`);
  }

  async #requireAlive(what: string): Promise<void> {
    if (this.#end === null) return;
    throw await this.#failed(`it ended with ${this.#end} before it could ${what}`);
  }

  async #ask(): Promise<HealthAnswer | null> {
    const text = await readSocket(this.#socket);
    if (text === null) return null;
    const parsed = healthAnswerShape.safeParse(parseJson(text));
    if (!parsed.success) throw await this.#failed('its health answer is not one that an updater reads');
    const { nonce, version } = parsed.data;
    if (version !== this.#input.version) {
      const message = `with the state ${this.#state}, ${this.#input.version} says in its health answer that it is ${version}`;
      throw new ImageError('version-mismatch', message, 'let the agent answer with the version of its release.json');
    }
    if (nonce !== this.#start.nonce) throw await this.#failed('its health answer is for another start');
    return parsed.data;
  }

  async #failed(what: string): Promise<ImageError> {
    this.#child.kill('SIGKILL');
    const { all } = await this.#child;
    const output = `${all}`.trim().slice(-quotedChars);
    return new ImageError(
      'trial-start-failed',
      `${this.#input.version} can not be released: with the state ${this.#state}, ${what}${output === '' ? '' : `\n${output}`}`,
      'repair it; an appliance with that state would have had to roll it back',
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null; // no answer of any shape
    throw error;
  }
}

/** @returns null when nobody answers there, or does not end in time */
function readSocket(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection(path);
    socket.setTimeout(healthTimeoutMs, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.length > healthBytesMax) socket.destroy();
    });
    // An error is followed by the close as well.
    socket.on('error', () => resolve(null));
    socket.on('end', () => resolve(text));
    socket.on('close', () => resolve(null));
  });
}
