import { setTimeout as delay } from 'node:timers/promises';
import { wakeUpdater } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Strike } from './plan.ts';

/** What is to die is waited for no longer than this. */
const appearsWithinMs = 4_000;
const lookEveryMs = 1;
const updaterCommand = 'main.js run';

function signalled(pid: number | null | undefined, signal: 'SIGKILL' | 0): boolean {
  if (pid === null || pid === undefined) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

const sigkill = (pid: number | null | undefined) => signalled(pid, 'SIGKILL');

/** One SIGKILL. It is aimed before its row comes: a look at all processes takes longer than some rows do. */
export class Blow {
  readonly #box: ApplianceBox;
  readonly #strike: Strike;
  #aimed: readonly number[] = [];

  constructor(box: ApplianceBox, strike: Strike) {
    this.#box = box;
    this.#strike = strike;
  }

  /** Called again and again while the row is waited for. */
  aim(): void {
    if (this.#strike.victim !== 'updater' || this.#aimed.some((pid) => signalled(pid, 0))) return;
    this.#aimed = this.#box.processes(updaterCommand);
  }

  /** @returns false when there was nothing to kill */
  async fall(): Promise<boolean> {
    const { victim, place } = this.#strike;
    switch (victim) {
      case 'plug':
        await this.#box.pullThePlug();
        return true;
      case 'agent':
        return sigkill(this.#box.agentPid());
      case 'updater':
        return this.#aimed.some(sigkill) || this.#killSoon(updaterCommand);
      case 'launch':
        return this.#killSoon(place.component === 'updater' ? 'launch.js count updater' : 'launch.js count');
      case 'page':
        return this.#killSoon('page.js');
      default:
        return victim satisfies never;
    }
  }

  /** As soon as there is one; not for long, because a launch lives for a few hundredths of a second. */
  async #killSoon(match: string): Promise<boolean> {
    const endsAt = performance.now() + appearsWithinMs;
    for (; performance.now() < endsAt; await delay(lookEveryMs)) {
      if (match.startsWith('launch.js')) wakeUpdater(this.#box);
      if (this.#box.processes(match).some(sigkill)) return true;
    }
    return false;
  }
}
