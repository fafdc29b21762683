import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { AgentCredentials } from '../../protocol/claim.ts';
import {
  type HealthAnswer,
  healthAnswerShape,
  healthBytesMax,
  healthTimeoutMs,
  type Start,
} from '../../protocol/health.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { generateKeyPair, privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { ImageError } from '../errors.ts';
import { type FrozenState, layOut, schemaOf } from './frozen-states.ts';

/** How long a start may take, and how long it is watched. */
export interface TrialBounds {
  /** Until it answers health as it should: an appliance gives it less; a build machine may be busy. */
  readonly upMs: number;
  /** After that it must still be there, and have worked. Longer than the standard interval of its work, which is 1 s. */
  readonly watchMs: number;
  /** From SIGTERM to its end; the supervisor on the appliance waits as long. */
  readonly stopMs: number;
}
const trialBounds: TrialBounds = { upMs: 20_000, watchMs: 1_500, stopMs: 5_000 };

const pollMs = 25;
/** Output that a report quotes, from the end. */
const quotedChars = 600;

export interface TrialInput {
  readonly payloadDir: string;
  readonly entry: string;
  /** The Node binary that the release will run on. */
  readonly node: string;
  readonly version: string;
  /** Schemas that the release says it reads. */
  readonly reads: { readonly min: number; readonly max: number };
  readonly states: readonly FrozenState[];
  readonly bounds?: TrialBounds;
}

export type TrialOutcome =
  | { readonly state: string; readonly outcome: 'came-up'; readonly ms: number }
  | { readonly state: string; readonly outcome: 'skipped'; readonly why: string };

/**
 * Starts what was built against every state that appliances may have, at the same time (S2): it must come up, say its
 * version, work, and stop.
 * @throws ImageError `trial-start-failed`, `version-mismatch`, each naming the first state that it failed with
 */
export async function tryStarts(input: TrialInput): Promise<TrialOutcome[]> {
  const ended = await Promise.allSettled(input.states.map((state) => tryState(input, state)));
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

async function tryState(input: TrialInput, state: FrozenState): Promise<TrialOutcome> {
  // A short path: a socket's has at most 107 bytes.
  const root = await mkdtemp(join(tmpdir(), 'hft-'));
  try {
    const layout = layoutOf(root);
    for (const path of [layout.agentKeys, layout.agentRun, layout.launchedComponent('app')]) {
      await mkdir(path, { recursive: true });
    }
    await layOut(state, layout.agent);
    const schema = await schemaOf(state, join(root, 'looked-at'));
    const { min, max } = input.reads;
    if (schema !== null && (schema < min || schema > max)) {
      const why = `it has schema ${schema}, the release declares that it reads ${min} to ${max}`;
      return { state: state.name, outcome: 'skipped', why };
    }
    const start = await setUp(layout, input.version);
    return await watch(input, layout, state.name, start);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** What launch and setup leave, with a server that does not answer. */
async function setUp(layout: Layout, version: string): Promise<Start> {
  const keys = generateKeyPair();
  const start: Start = {
    nonce: randomBytes(32).toString('hex'),
    slot: '0',
    manifest: '0'.repeat(64),
    version,
    stateDir: layout.agent,
  };
  const credentials: AgentCredentials = {
    appliance: applianceIdOf(randomBytes(32)),
    // Port 9 is for discarding (RFC 863); nobody listens there.
    url: 'http://127.0.0.1:9',
    answerKeys: [generateKeyPair().publicKey],
    privateKey: privateKeyToPem(keys.privateKey),
  };
  await writeFile(join(layout.launchedComponent('app'), 'start.json'), JSON.stringify(start));
  await writeFile(layout.agentCredentials, JSON.stringify(credentials), { mode: 0o600 });
  await writeFile(layout.hint, '');
  return start;
}

async function watch(input: TrialInput, layout: Layout, state: string, start: Start): Promise<TrialOutcome> {
  const bounds = input.bounds ?? trialBounds;
  const child = startAgent(input, layout.root);
  const observed = new Observation(input, state, start, layout.agentSocket, child);
  observed.follow();
  try {
    const beganMs = performance.now();
    const first = await observed.until(bounds.upMs, 'answer health', (answer) => answer.state.migrated);
    const ms = Math.round(performance.now() - beganMs);
    await observed.until(bounds.watchMs + bounds.upMs, 'go on working', ({ progress }) => {
      return progress > first.progress && performance.now() - beganMs - ms >= bounds.watchMs;
    });
    await observed.stop(bounds.stopMs);
    return { state, outcome: 'came-up', ms };
  } finally {
    child.kill('SIGKILL');
    await child;
  }
}

function startAgent({ node, entry, payloadDir }: TrialInput, root: string) {
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
class Observation {
  readonly #input: TrialInput;
  readonly #state: string;
  readonly #start: Start;
  readonly #socket: string;
  readonly #child: Child;
  /** Exit status or signal; null while it runs. */
  #end: number | string | null = null;

  constructor(input: TrialInput, state: string, start: Start, socket: string, child: Child) {
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
  async until(ms: number, what: string, isEnough: (answer: HealthAnswer) => boolean): Promise<HealthAnswer> {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) {
      await this.#requireAlive(what);
      const answer = await this.#ask();
      if (answer !== null && isEnough(answer)) return answer;
      await delay(pollMs);
    }
    throw await this.#failed(`it did not ${what} within ${ms / 1000} s`);
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
