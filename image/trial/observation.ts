import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { type HealthAnswer, healthAnswerShape, type Start } from '../../protocol/health.ts';
import { cutHead } from '../../protocol/text.ts';
import { ImageError } from '../errors.ts';
import { readSocket } from '../health-socket.ts';
import { trialTexts } from '../texts.ts';
import { type TrialRoot, type TriedFiles, withinRoot } from './trial-root.ts';

const pollMs = 25;
/** Characters from the end of the output that a report quotes. */
const quotedChars = 600;

/** What is started. */
export interface Started extends TriedFiles {
  readonly version: string;
}

/** Starts the agent as its unit does. */
export function startAgent({ node, program, inside, wordsFor }: TrialRoot) {
  const [file, ...args] = wordsFor([node, program, '--root', inside.root]);
  return execa(file, args, { ...withinRoot, all: true });
}
type Child = ReturnType<typeof startAgent>;

/** One start of the built agent, and its answers. */
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
        this.#end = exitCode ?? signal ?? trialTexts.noStatus;
      },
      (error: unknown) => {
        this.#end = String(error);
      },
    );
  }

  /** Waits for the first answer that is enough. */
  async until(ms: number, what: () => string, isEnough: (answer: HealthAnswer) => boolean): Promise<HealthAnswer> {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) {
      await this.#requireAlive(what());
      const answer = await this.#ask();
      if (answer !== null && isEnough(answer)) return answer;
      await delay(pollMs);
    }
    throw await this.fail(trialTexts.notWithin(what(), ms / 1000));
  }

  /** @throws ImageError if it must be killed, or ends with an error */
  async stop(ms: number): Promise<void> {
    this.#child.kill('SIGTERM');
    const ended = await Promise.race([this.#child, delay(ms, null)]);
    if (ended === null) throw await this.fail(trialTexts.notStopped(ms / 1000));
    if (ended.exitCode !== 0) throw await this.fail(trialTexts.stoppedWith(ended.exitCode ?? ended.signal));
  }

  async #requireAlive(what: string): Promise<void> {
    if (this.#end === null) return;
    throw await this.fail(trialTexts.ended(this.#end, what));
  }

  async #ask(): Promise<HealthAnswer | null> {
    const text = await readSocket(this.#socket);
    if (text === null) return null;
    const parsed = healthAnswerShape.safeParse(parseJson(text));
    if (!parsed.success) throw await this.fail(trialTexts.otherHealth);
    const { nonce, version } = parsed.data;
    if (version !== this.#input.version) {
      const message = trialTexts.otherVersion(this.#state, this.#input.version, version);
      throw new ImageError('version-mismatch', message, trialTexts.otherVersionNext);
    }
    if (nonce !== this.#start.nonce) throw await this.fail(trialTexts.otherStart);
    return parsed.data;
  }

  /** Ends it. @returns the error, with the end of its output */
  async fail(what: string): Promise<ImageError> {
    this.#child.kill('SIGKILL');
    const { all } = await this.#child;
    const output = cutHead(`${all}`.trim(), quotedChars);
    return new ImageError(
      'trial-start-failed',
      trialTexts.notReleasable(this.#input.version, this.#state, what, output === '' ? '' : `\n${output}`),
      trialTexts.notReleasableNext,
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
