import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ApplianceBox } from '../world/appliance-box.ts';
import { nodeBinary } from '../world/checkout.ts';
import { until } from '../world/wait.ts';
import { updaterVersion } from '../world/world.ts';
import type { Plan } from './killing-files.ts';

const momentComesWithinMs = 60_000;

/** An updater that is going to die at a planned moment, seen from outside. */
export class Killing {
  readonly #box: ApplianceBox;
  readonly #child: ChildProcess;
  readonly #said: string[] = [];
  readonly #ended: Promise<unknown>;

  private constructor(box: ApplianceBox, child: ChildProcess) {
    this.#box = box;
    this.#child = child;
    this.#ended = once(child, 'exit');
    if (child.stdout === null) throw new TypeError('the killing updater has no standard output');
    createInterface({ input: child.stdout }).on('line', (line) => this.#said.push(line));
  }

  /** Starts one and returns when it holds the updater's lock: from then on no other run does anything. */
  static async start(box: ApplianceBox, deaths: readonly Plan[]): Promise<Killing> {
    const log = openSync(join(box.config.logs, 'killing.log'), 'a');
    const program = join(import.meta.dirname, 'killing-updater.ts');
    const words = ['--root', box.options.root, '--version', updaterVersion, '--deaths', JSON.stringify(deaths)];
    const child = spawn(nodeBinary, [program, ...words], { stdio: ['ignore', 'pipe', log] });
    const killing = new Killing(box, child);
    await killing.#hear('holding');
    return killing;
  }

  /** @returns when it has died at each of its moments; anything else that it ends with is an error */
  async killed(): Promise<void> {
    await this.#ended;
    if (this.#child.signalCode !== 'SIGKILL') throw new Error(`it ended with ${this.#child.exitCode}, not by SIGKILL`);
  }

  /** @returns when it stands still in its row, until {@link go} */
  waits(): Promise<void> {
    return this.#hear('waiting');
  }

  go(): void {
    writeFileSync(join(this.#box.layout.run, 'go'), '');
  }

  async ended(): Promise<void> {
    await this.#ended;
  }

  async #hear(word: string): Promise<void> {
    const heard = await until(`the killing updater says ${word}`, momentComesWithinMs, () => {
      if (this.#said.includes(word)) return 'said';
      // It will never say it any more: the deadline need not be waited for.
      return this.#child.exitCode === null ? null : 'ended';
    });
    if (heard === 'ended') throw new Error(`the killing updater ended with ${this.#child.exitCode}, without ${word}`);
  }
}
