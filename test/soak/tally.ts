import { type Row, rows } from '../../protocol/state-record.ts';

/** What a soak kills. `plug`: everything of one appliance at once. */
export const victims = ['updater', 'agent', 'launch', 'page', 'server', 'plug'] as const;
export type Victim = (typeof victims)[number];

/** The rows that a transaction of the updater itself has; all others are the agent's. */
const updaterRows = [
  'resolved',
  'fetching',
  'writing',
  'sealed',
  'armed',
  'trial',
  'committing',
  'reverting',
] as const satisfies readonly Row[];

/** A row of the state table, and whose transaction it is. */
export interface Place {
  readonly row: Row;
  readonly component: 'app' | 'updater';
}

/** Kills by process, and by the row of the state table that the appliance was in. */
export class Tally {
  readonly #byVictim = new Map<Victim, number>();
  readonly #byPlace = { app: new Map<Row, number>(), updater: new Map<Row, number>() };
  cycles = 0;

  count(victim: Victim, { row, component }: Place): void {
    this.cycles += 1;
    this.#byVictim.set(victim, (this.#byVictim.get(victim) ?? 0) + 1);
    this.#byPlace[component].set(row, this.#of({ row, component }) + 1);
  }

  /** Of these, one that was counted least. */
  leastOf(candidates: readonly Place[], random: () => number): Place {
    const counts = candidates.map((place) => ({ place, count: this.#of(place) + random() }));
    const [least] = counts.sort((a, b) => a.count - b.count);
    if (least === undefined) throw new RangeError('no row to choose from');
    return least.place;
  }

  get byVictim(): Readonly<Record<string, number>> {
    return Object.fromEntries(victims.map((victim) => [victim, this.#byVictim.get(victim) ?? 0]));
  }

  get byRow(): Readonly<Record<string, number>> {
    return Object.fromEntries(rows.map((row) => [row, this.#of({ row, component: 'app' })]));
  }

  get byUpdaterRow(): Readonly<Record<string, number>> {
    return Object.fromEntries(updaterRows.map((row) => [row, this.#of({ row, component: 'updater' })]));
  }

  #of({ row, component }: Place): number {
    return this.#byPlace[component].get(row) ?? 0;
  }
}
