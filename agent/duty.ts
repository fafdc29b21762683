import Sqlite from 'better-sqlite3';
import type { CheckStatus } from '../protocol/health.ts';
import type { Bell } from './bell.ts';
import { judge, type Observed } from './checks.ts';
import type { Effects } from './effects/effects.ts';
import type { Outbox } from './outbox.ts';
import { type Reading, readingName, type State } from './state.ts';

/**
 * The agent's work: a reading at each interval, as a row of state.db and, after it, as a record in the outbox. A plain
 * timer, not a calendar: a calendar's next time depends on the wall clock, which an appliance can not trust.
 */
export class Duty {
  /** Rises with each reading that was made and stored, and with nothing else. */
  progress = 0;
  readonly #effects: Effects;
  readonly #state: State;
  readonly #outbox: Outbox;
  readonly #settings: { readonly intervalMs: number; readonly problems: readonly string[] };
  readonly #directory: string;
  #observed: Observed;

  constructor(
    effects: Effects,
    stores: { readonly state: State; readonly outbox: Outbox; readonly directory: string },
    settings: { readonly intervalMs: number; readonly problems: readonly string[] },
  ) {
    this.#effects = effects;
    this.#state = stores.state;
    this.#outbox = stores.outbox;
    this.#directory = stores.directory;
    this.#settings = settings;
    this.#observed = {
      duty: null,
      measuredMonoMs: null,
      stores: { state: 'unknown', outbox: 'unknown' },
      waiting: 0,
      space: null,
      settingsProblems: settings.problems.length,
      intervalMs: settings.intervalMs,
    };
  }

  checks(): Record<string, CheckStatus> {
    return judge(this.#observed, this.#effects.clock.monoMs());
  }

  async run(bell: Bell, signal: AbortSignal): Promise<void> {
    let dueMs = this.#effects.clock.monoMs();
    while (!signal.aborted) {
      // The next one is due an interval after this one was; after a standstill it begins anew and catches nothing up.
      dueMs = Math.max(dueMs + this.#settings.intervalMs, this.#effects.clock.monoMs());
      await bell.wait(dueMs - this.#effects.clock.monoMs(), signal);
      if (!signal.aborted) await this.turn();
    }
  }

  /** One reading. A store that refuses is a failed duty, seen in the checks; anything else is a bug and crashes. */
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
    if (failed === null) this.progress += 1;
  }

  /** @returns the store that refused, or null */
  #write(value: number | null): 'state' | 'outbox' | null {
    let store: 'state' | 'outbox' = 'state';
    try {
      const last = this.#state.last();
      store = 'outbox';
      // A crash or a full disk between row and record leaves a last row without its record: it gets it now.
      if (last !== null && !this.#outbox.hasRecord(last.name)) this.#record(last);
      // Noted before the row is written: whatever state comes back after a rollback, no number is used twice.
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
      // Said once, not once a second.
      if (this.#observed.duty?.outcome !== 'failed') {
        this.#effects.log.error(
          { code: error.code, store, error: error.message },
          'a reading could not be stored; trying again at each interval — look at the disk',
        );
      }
      return store;
    }
  }

  #record(reading: Pick<Reading, 'n' | 'sha256'>): void {
    this.#outbox.append({ kind: 'record', record: { name: readingName(reading.n), sha256: reading.sha256 } });
  }
}
