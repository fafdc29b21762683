import { setTimeout as delay } from 'node:timers/promises';
import type { Row } from '../../protocol/state-record.ts';
import { askUpdater, isCommittedSound, stateOf, wakeUpdater } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { oneOf } from './random.ts';
import type { Tally, Victim } from './tally.ts';

export interface Bundles {
  readonly good: readonly Built[];
  readonly bad: readonly Built[];
}

/** What is done to one appliance: something begins, and something dies in it. */
export interface Strike {
  readonly flow: 'good' | 'bad' | 'return' | 'quiet';
  readonly victim: Exclude<Victim, 'server'>;
  readonly row: Row;
}

/** A row that does not come within this time is not waited for any longer: what is there then is struck. */
const rowComesWithinMs = 4_000;
/** A bad release needs its tries, and the time that it may stand still. */
const verdictComesWithinMs = 12_000;
const restsWithinMs = 90_000;
const lookEveryMs = 1;

const rowsOfFlow: Readonly<Record<Strike['flow'], readonly Row[]>> = {
  good: ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'],
  bad: ['trial', 'reverting', 'armed', 'writing'],
  return: ['sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'],
  quiet: ['idle', 'closing'],
};

export function planStrike(random: () => number, tally: Tally): Strike {
  const flow = oneOf(random, ['good', 'good', 'good', 'bad', 'return', 'quiet'] as const);
  const row = tally.leastOf(rowsOfFlow[flow], random);
  const victim = oneOf(random, ['updater', 'updater', 'updater', 'agent', 'launch', 'page', 'plug'] as const);
  return { flow, row, victim };
}

function sigkill(pid: number | null | undefined): boolean {
  if (pid === null || pid === undefined) return false;
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** One appliance, struck again and again. */
export class Lane {
  readonly box: ApplianceBox;
  readonly #bundles: Bundles;
  readonly #random: () => number;

  constructor(box: ApplianceBox, bundles: Bundles, random: () => number) {
    this.box = box;
    this.#bundles = bundles;
    this.#random = random;
  }

  /** @returns the row in which something died; null when nothing did */
  async strike(plan: Strike): Promise<Row | null> {
    this.#begin(plan.flow);
    const withinMs = plan.row === 'reverting' ? verdictComesWithinMs : rowComesWithinMs;
    const endsAt = performance.now() + withinMs;
    while (performance.now() < endsAt && stateOf(this.box).row !== plan.row) await delay(lookEveryMs);
    const killed = await this.#kill(plan.victim);
    const { row } = stateOf(this.box);
    if (killed && plan.victim === 'plug') await this.box.powerOn();
    return killed ? row : null;
  }

  /** Until the appliance serves its committed version again, whole; by what it has, and nobody's help. */
  rests(): Promise<string> {
    wakeUpdater(this.box);
    return until(`${this.box.options.name} rests`, restsWithinMs, async () => {
      const { row, app } = stateOf(this.box);
      if (row !== 'idle' && row !== 'closing') return null;
      const pid = this.box.agentPid();
      if (pid === null) return null;
      if (!isCommittedSound(this.box)) throw new Error(`${this.box.options.name}: the committed slot is not whole`);
      return app.committed.version;
    });
  }

  #begin(flow: Strike['flow']): void {
    const { good, bad } = this.#bundles;
    const { committed } = stateOf(this.box).app;
    const others = good.filter(({ version }) => version !== committed.version);
    switch (flow) {
      case 'good':
        askUpdater(this.box, { kind: 'install', file: oneOf(this.#random, others).path });
        break;
      case 'bad':
        askUpdater(this.box, { kind: 'install', file: oneOf(this.#random, bad).path });
        break;
      case 'return':
        askUpdater(this.box, { kind: 'rollback' });
        break;
      case 'quiet':
        wakeUpdater(this.box);
        break;
      default:
        flow satisfies never;
    }
  }

  async #kill(victim: Strike['victim']): Promise<boolean> {
    switch (victim) {
      case 'plug':
        await this.box.pullThePlug();
        return true;
      case 'agent':
        return sigkill(this.box.agentPid());
      case 'updater':
        return this.#killSoon('main.js run');
      case 'launch':
        return this.#killSoon('launch.js count');
      case 'page':
        return this.#killSoon('page.js');
      default:
        return victim satisfies never;
    }
  }

  /** As soon as there is one; not for long, because a launch lives for a few hundredths of a second. */
  async #killSoon(match: string): Promise<boolean> {
    const endsAt = performance.now() + rowComesWithinMs;
    for (; performance.now() < endsAt; await delay(lookEveryMs)) {
      if (match === 'launch.js count') wakeUpdater(this.box);
      if (this.box.processes(match).some(sigkill)) return true;
    }
    return false;
  }
}
