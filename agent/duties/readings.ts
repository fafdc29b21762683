import Sqlite from 'better-sqlite3';
import type { Observed } from '../checks.ts';
import type { Effects } from '../effects/effects.ts';
import type { Outbox } from '../outbox.ts';
import { type Reading, readingName, type State } from '../state.ts';
import { storeTexts } from '../texts.ts';
import { type Duty, ownDuties, usualBudget } from './definition.ts';
import { inlineDuty } from './inline.ts';

/** What the checks ask about the readings. */
export type ObservedReadings = Omit<Observed, 'duties' | 'settingsProblems'>;

/** A reading of the machine at each interval, as a row of state.db and then as a record in the outbox. */
export class Readings {
  readonly #effects: Effects;
  readonly #state: State;
  readonly #outbox: Outbox;
  readonly #intervalMs: number;
  readonly #directory: string;
  #observed: ObservedReadings;

  constructor(
    effects: Effects,
    stores: { readonly state: State; readonly outbox: Outbox; readonly directory: string },
    { intervalMs }: { readonly intervalMs: number },
  ) {
    this.#effects = effects;
    this.#state = stores.state;
    this.#outbox = stores.outbox;
    this.#directory = stores.directory;
    this.#intervalMs = intervalMs;
    this.#observed = {
      duty: null,
      measuredMonoMs: null,
      stores: { state: 'unknown', outbox: 'unknown' },
      waiting: 0,
      space: null,
      intervalMs,
    };
  }

  get observed(): ObservedReadings {
    return this.#observed;
  }

  /** A store that refuses is tried again with the next reading: its breaker opens only for a fault of the agent. */
  get duty(): Duty {
    const schedule = { everyMs: this.#intervalMs };
    const budget = { ...usualBudget, attempts: 1 };
    return inlineDuty({ name: ownDuties[0], schedule, budget, isTrusted: true }, () => this.turn());
  }

  /** One reading. A store that refuses is shown in the checks; anything else is a bug, and the run has failed. */
  async turn(): Promise<void> {
    const value = await this.#effects.sensor();
    const space = await this.#effects.files.space(this.#directory);
    const failed = this.#write(value);
    const now = this.#effects.clock.monoMs();
    this.#observed = {
      ...this.#observed,
      duty: { outcome: failed === null ? 'ok' : 'failed', monoMs: now },
      measuredMonoMs: value === null ? this.#observed.measuredMonoMs : now,
      stores: { state: failed === 'state' ? 'fail' : 'ok', outbox: failed === 'outbox' ? 'fail' : 'ok' },
      space,
    };
  }

  /** @returns the store that refused, or null */
  #write(value: number | null): 'state' | 'outbox' | null {
    let store: 'state' | 'outbox' = 'state';
    try {
      const last = this.#state.last();
      store = 'outbox';
      // A crash or a full disk between row and record leaves the last row without its record: it gets it now.
      if (last !== null && !this.#outbox.hasRecord(last.name)) this.#record(last);
      // Noted before the row is written: whatever state a rollback restores, no number is used twice.
      const n = Math.max(last?.n ?? 0, this.#outbox.counter('reading')) + 1;
      this.#outbox.raise('reading', n);
      store = 'state';
      const reading = this.#state.add(n, value);
      store = 'outbox';
      this.#record(reading);
      this.#observed = { ...this.#observed, waiting: this.#outbox.waiting() };
      return null;
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError)) throw error;
      // Logged once, not once a second.
      if (this.#observed.duty?.outcome !== 'failed') {
        this.#effects.log.error({ code: error.code, store, error: error.message }, storeTexts.readingNotStored);
      }
      return store;
    }
  }

  #record(reading: Pick<Reading, 'n' | 'sha256'>): void {
    this.#outbox.append({ kind: 'record', record: { name: readingName(reading.n), sha256: reading.sha256 } });
  }
}
