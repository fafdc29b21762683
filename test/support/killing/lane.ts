import type { TransactionLine } from '../../../protocol/status.ts';
import { wordOf } from '../../../protocol/wire-enum.ts';
import { highestOf } from '../../story/checks.ts';
import type { ReadingsSeen } from '../../story/observations.ts';
import { acknowledged, readings } from '../../story/outside.ts';
import type { ApplianceBox } from '../world/appliance-box.ts';
import { until } from '../world/wait.ts';
import type { World } from '../world/world.ts';
import type { KillCase } from './kill-cases.ts';
import { Killing } from './killing.ts';
import type { Plan } from './killing-files.ts';
import { askUpdater, halfWritten, isCommittedSound, stateOf, statusOf, wakeUpdater } from './look.ts';

const endsWithinMs = 45_000;

/** What was seen of one case, before and after. */
export interface Seen {
  /** The committed slot at the moment of death. */
  readonly committedWasSound: boolean;
  readonly servedBefore: string;
  /** The committed version that answers in the end. */
  readonly serves: string;
  readonly row: string;
  /** Lines of the history that the transaction has. */
  readonly outcomes: readonly string[];
  readonly reason: string | null;
  readonly halfWritten: readonly string[];
  /** What the server had acknowledged before, as the agent had it then, and has it now. */
  readonly readingsBefore: ReadingsSeen;
  readonly readingsAfter: ReadingsSeen;
}

/** A case that has begun: its updater holds the lock and waits for something to do. */
export interface Begun {
  readonly killing: Killing;
  readonly readings: ReadingsSeen;
  readonly lastTx: number;
  readonly version: string;
}

/** One appliance on which cases run, one after the other. */
export class Lane {
  readonly world: World;
  readonly box: ApplianceBox;
  readonly name: string;

  constructor(world: World, box: ApplianceBox) {
    this.world = world;
    this.box = box;
    this.name = box.options.name;
  }

  async begin(deaths: readonly Plan[]): Promise<Begun> {
    const upTo = highestOf(await acknowledged(this.world, this.name));
    const before = await readings(this.world, this.name, upTo);
    const killing = await Killing.start(this.box, deaths);
    const { lastTx, app } = stateOf(this.box);
    return { killing, readings: before, lastTx, version: app.committed.version };
  }

  /** From the death to rest: only what the appliance has by itself carries on. */
  async finish(begun: Begun): Promise<Seen> {
    await begun.killing.killed();
    const committedWasSound = isCommittedSound(this.box);
    wakeUpdater(this.box);
    return this.rest(begun, committedWasSound);
  }

  /** Waits until the transaction is over and its version answers, and looks at everything. */
  async rest(begun: Begun, committedWasSound: boolean): Promise<Seen> {
    const lines = await this.#ended(begun.lastTx);
    const { row, app } = stateOf(this.box);
    return {
      committedWasSound,
      servedBefore: begun.version,
      serves: app.committed.version,
      row,
      outcomes: lines.map((line) => wordOf(line.outcome)),
      reason: lines.at(-1)?.reason ?? null,
      halfWritten: halfWritten(this.box),
      readingsBefore: begun.readings,
      readingsAfter: await readings(this.world, this.name, begun.readings.upTo),
    };
  }

  async kill(one: KillCase, failing: string | null): Promise<Seen> {
    const begun = await this.begin(one.deaths);
    if (one.flow === 'return') askUpdater(this.box, { kind: 'rollback' });
    // Whoever went back by hand lets the release come again.
    if (one.flow === 'update') askUpdater(this.box, this.#forth());
    if (one.flow === 'failing' && failing !== null) askUpdater(this.box, { kind: 'install', file: failing });
    return this.finish(begun);
  }

  /** Back by hand, or forward again, with nobody killing anything. */
  async go(kind: 'rollback' | 'retry'): Promise<void> {
    const { lastTx } = stateOf(this.box);
    askUpdater(this.box, kind === 'retry' ? this.#forth() : { kind });
    await this.#ended(lastTx);
  }

  /** What was left last, by its name: without one, only what failed its trial is tried again. */
  #forth(): { kind: 'retry'; manifest?: string } {
    const left = stateOf(this.box).quarantine.at(-1);
    return left === undefined ? { kind: 'retry' } : { kind: 'retry', manifest: left.manifest };
  }

  /** @returns the lines of the one transaction after `lastTx`, when it is over and the committed version answers */
  #ended(lastTx: number): Promise<TransactionLine[]> {
    return until(`${this.name} ends transaction ${lastTx + 1}`, endsWithinMs, () => {
      const status = statusOf(this.box);
      const lines = status.transactions.filter(({ tx }) => tx > lastTx);
      const { row, app } = stateOf(this.box);
      const rests = row === 'idle' && status.row === 'idle' && status.agent.version === app.committed.version;
      return rests && lines.length > 0 && status.agent.alive ? lines : null;
    });
  }
}
