import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SlotName } from '../../protocol/component.ts';
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
  /** `rot`: a byte of the committed version changes while the power is off. */
  readonly flow: 'good' | 'bad' | 'return' | 'quiet' | 'rot';
  readonly victim: Exclude<Victim, 'server'>;
  readonly row: Row;
}

/** A row that does not come within this time is not waited for any longer: what is there then is struck. */
const rowComesWithinMs = 4_000;
/** A bad release needs its tries, and the time that it may stand still. */
const verdictComesWithinMs = 12_000;
const restsWithinMs = 90_000;
const bringsEveryMs = 5_000;
const lookEveryMs = 1;

const rowsOfFlow: Readonly<Record<Strike['flow'], readonly Row[]>> = {
  good: ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'],
  bad: ['trial', 'reverting', 'armed', 'writing'],
  return: ['sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'],
  quiet: ['idle', 'closing'],
  rot: ['safe'],
};

export function planStrike(random: () => number, tally: Tally): Strike {
  const flow = oneOf(random, [
    'good',
    'good',
    'good',
    'good',
    'bad',
    'bad',
    'return',
    'quiet',
    'quiet',
    'rot',
  ] as const);
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
    await this.#begin(plan.flow);
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
    let askedMs = -Infinity;
    return until(`${this.box.options.name} rests`, restsWithinMs, async () => {
      const { row, app } = stateOf(this.box);
      // Where nothing is left to go back to, somebody brings a bundle.
      if (row === 'safe' && performance.now() - askedMs > bringsEveryMs) {
        askedMs = performance.now();
        // The one that is damaged: whatever else there is may not read the data that it wrote.
        const all = [...this.#bundles.good, ...this.#bundles.bad];
        const same = all.filter(({ version }) => version === app.committed.version);
        this.#install(same.length > 0 ? same : this.#bundles.good);
      }
      if (row !== 'idle' && row !== 'closing') return null;
      const pid = this.box.agentPid();
      if (pid === null) return null;
      if (!isCommittedSound(this.box)) throw new Error(`${this.box.options.name}: the committed slot is not whole`);
      return app.committed.version;
    });
  }

  #install(bundles: readonly Built[]): void {
    askUpdater(this.box, { kind: 'install', file: oneOf(this.#random, bundles).path });
  }

  async #begin(flow: Strike['flow']): Promise<void> {
    const { good, bad } = this.#bundles;
    const { committed } = stateOf(this.box).app;
    switch (flow) {
      case 'good':
        this.#install(good.filter(({ version }) => version !== committed.version));
        break;
      case 'bad':
        this.#install(bad);
        break;
      case 'rot':
        await this.#rot(committed.slot);
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

  async #rot(slot: SlotName): Promise<void> {
    // Factory is all that is left when everything else is gone.
    if (slot === 'factory') return wakeUpdater(this.box);
    await this.box.pullThePlug();
    const path = join(this.box.layout.slot('app', slot), 'main.js');
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await this.box.powerOn();
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
