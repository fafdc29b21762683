import { type Row, rows } from '../../protocol/state-record.ts';

/** What a soak kills. `plug`: everything of one appliance at once. */
export const victims = ['updater', 'agent', 'launch', 'page', 'server', 'plug'] as const;
export type Victim = (typeof victims)[number];

/** Kills by process, and by the row of the state table that the appliance was in. */
export class Tally {
  readonly #byVictim = new Map<Victim, number>();
  readonly #byRow = new Map<Row, number>();
  cycles = 0;

  count(victim: Victim, row: Row): void {
    this.cycles += 1;
    this.#byVictim.set(victim, (this.#byVictim.get(victim) ?? 0) + 1);
    this.#byRow.set(row, (this.#byRow.get(row) ?? 0) + 1);
  }

  /** Of these, one that was counted least. */
  leastOf(candidates: readonly Row[], random: () => number): Row {
    const counts = candidates.map((row) => ({ row, count: (this.#byRow.get(row) ?? 0) + random() }));
    const [least] = counts.sort((a, b) => a.count - b.count);
    if (least === undefined) throw new RangeError('no row to choose from');
    return least.row;
  }

  get byVictim(): Readonly<Record<string, number>> {
    return Object.fromEntries(victims.map((victim) => [victim, this.#byVictim.get(victim) ?? 0]));
  }

  get byRow(): Readonly<Record<string, number>> {
    return Object.fromEntries(rows.map((row) => [row, this.#byRow.get(row) ?? 0]));
  }
}
