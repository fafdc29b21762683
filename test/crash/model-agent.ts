import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import type { CheckStatus, HealthAnswer } from '../../protocol/health.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Clock } from '../../updater/effects/clock.ts';
import { readFile, replaceFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import { launchCount } from '../../updater/launch/count.ts';
import type { AgentFacts, ProcessControl } from '../../updater/processes/process-control.ts';
import { loadState } from '../../updater/record/state-store.ts';
import { readSeal } from '../../updater/release/verify-slot.ts';
import { answerInProcess } from './in-process-socket.ts';

const startShape = z.object({ nonce: z.string(), slot: z.string(), version: z.string(), stateDir: z.string() });
type Start = z.infer<typeof startShape>;
const dataShape = z.object({ schema: z.int(), data: z.string(), stops: z.int().default(0) });

export function readData(files: Files, path: string): z.infer<typeof dataShape> | null {
  const bytes = readFile(files, path, 1_000_000);
  return bytes === null ? null : dataShape.parse(JSON.parse(bytes.toString('utf8')));
}

/** Crashes after a start that somebody ordered, before process control gives up; more than a trial has tries. */
const burst = 4;

export interface AgentHabits {
  readonly broken: readonly string[];
  readonly diesAfter: number;
  readonly server: CheckStatus;
}

/**
 * An agent and what starts it, as far as the updater can tell: launch chooses on the same disk, the version that it chose
 * migrates the data as its seal says, and answers health; a broken one ends at each start.
 */
export class ModelAgent implements ProcessControl {
  readonly isolation = 'none';
  readonly #files: Files;
  readonly #layout: Layout;
  readonly #clock: Pick<Clock, 'bootId' | 'monoMs'>;
  #running: Start | null = null;
  #state: AgentFacts['state'] = 'inactive';
  #crashes = 0;
  #sinceOrdered = 0;
  #progress = 0;
  /** Its work goes on with the time, not with the answers that it gives. */
  #workedMs = Number.NEGATIVE_INFINITY;
  #answers = 0;
  /** Stops that a committed version wrote down: they must be there after a rollback (I4). */
  stops = 0;
  /** Why a version could not work with the data that it found: never to happen (I3). */
  readonly unreadable: string[] = [];

  readonly #broken: readonly string[];
  readonly #server: CheckStatus;
  readonly #diesAfter: number;

  /**
   * @param broken versions that end, whatever they find
   * @param diesAfter the answers to health that they give before
   * @param server whether it reaches the server
   */
  constructor(
    files: Files,
    layout: Layout,
    clock: Pick<Clock, 'bootId' | 'monoMs'>,
    { broken, diesAfter, server }: AgentHabits,
  ) {
    this.#broken = broken;
    this.#diesAfter = diesAfter;
    this.#server = server;
    this.#files = files;
    this.#layout = layout;
    this.#clock = clock;
  }

  #start(): void {
    const outcome = launchCount(
      { files: this.#files, bootId: () => this.#clock.bootId(), monoMs: () => this.#clock.monoMs() },
      this.#layout,
      'app',
    );
    if (outcome.outcome === 'nothing') {
      this.#state = 'failed';
      return;
    }
    const path = join(this.#layout.launchedComponent('app'), 'start.json');
    const start = startShape.parse(JSON.parse(readFile(this.#files, path, 100_000)?.toString('utf8') ?? 'null'));
    const works = this.#takesUp(start);
    if (!works || (this.#broken.includes(start.version) && this.#diesAfter === 0)) {
      this.#crash();
      return;
    }
    this.#running = start;
    this.#progress = 0;
    this.#answers = 0;
    this.#state = 'active';
  }

  #crash(): void {
    this.#running = null;
    this.#crashes += 1;
    this.#sinceOrdered += 1;
    this.#state = this.#sinceOrdered < burst ? 'waiting' : 'failed';
  }

  /** Migrates what it finds; a broken version has done so too before it ended. */
  #takesUp({ slot, stateDir, version }: Start): boolean {
    const seal = readSeal(this.#files, this.#layout.slot('app', slot));
    if (seal === null) return false;
    const path = join(stateDir, 'state.db');
    const found = readData(this.#files, path) ?? { schema: 0, data: 'nothing', stops: 0 };
    const { reads, writes } = seal.state;
    if (found.schema > reads.max) {
      this.unreadable.push(`${version} reads up to schema ${reads.max} and found ${found.schema}`);
      return false;
    }
    if (found.schema < writes) {
      replaceFile(this.#files, path, Buffer.from(JSON.stringify({ ...found, schema: writes })), 0o600);
    }
    return true;
  }

  health(): HealthAnswer | null {
    if (this.#running === null) return null;
    const { nonce, version } = this.#running;
    if (this.#broken.includes(version) && this.#answers >= this.#diesAfter) {
      this.#crash();
      return null;
    }
    this.#answers += 1;
    const now = this.#clock.monoMs();
    if (now > this.#workedMs) this.#progress += 1;
    this.#workedMs = now;
    return {
      proto: 1,
      nonce,
      version,
      progress: this.#progress,
      state: { schema: 1, migrated: true },
      checks: {},
      server: this.#server,
      inhibit: null,
    };
  }

  /** What lives now; null: nothing. */
  get start(): Start | null {
    return this.#running;
  }

  agent(): Promise<AgentFacts> {
    if (this.#state === 'waiting') this.#start();
    const { pid, lastExit } = { pid: this.#running === null ? null : 7, lastExit: { code: 1, signal: null } };
    return Promise.resolve({ state: this.#state, pid, crashes: this.#crashes, lastExit, lastOutput: '' });
  }

  startAgent(): Promise<void> {
    if (this.#running === null) {
      this.#sinceOrdered = 0;
      this.#start();
    }
    return Promise.resolve();
  }

  /** It uses the time that it is given to write down what it acknowledged last. */
  stopAgent(): Promise<void> {
    if (this.#running !== null) {
      const { slot, stateDir } = this.#running;
      const path = join(stateDir, 'state.db');
      const found = readData(this.#files, path);
      const committed = loadState(this.#files, this.#layout).committed.app;
      if (found !== null && slot === committed) {
        const stops = found.stops + 1;
        replaceFile(this.#files, path, Buffer.from(JSON.stringify({ ...found, stops })), 0o600);
        if (stateDir === this.#layout.agent) this.stops = stops;
      }
    }
    this.#running = null;
    this.#state = 'inactive';
    return Promise.resolve();
  }

  updaterOutput(): Promise<string> {
    return Promise.resolve('');
  }

  requestRun(): Promise<void> {
    return Promise.resolve();
  }
}

/** One socket for all agents of an enumeration: whoever lives now answers. */
export class HealthSocket {
  agent: ModelAgent | null = null;
  readonly #server: Server | null;

  private constructor(server: Server | null) {
    this.#server = server;
  }

  static async listen(path: string): Promise<HealthSocket> {
    const server = createServer((socket) => {
      const answer = made.answer();
      socket.on('error', () => socket.destroy());
      if (answer === null) socket.destroy();
      else socket.end(answer);
    });
    const made = new HealthSocket(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    return made;
  }

  /** Without a socket, for all who connect in this thread. */
  static inProcess(path: string): HealthSocket {
    const made = new HealthSocket(null);
    answerInProcess(path, () => made.answer());
    return made;
  }

  answer(): string | null {
    const answer = this.agent?.health() ?? null;
    return answer === null ? null : JSON.stringify(answer);
  }

  async close(): Promise<void> {
    await new Promise<unknown>((resolve) => (this.#server === null ? resolve(null) : this.#server.close(resolve)));
  }
}
