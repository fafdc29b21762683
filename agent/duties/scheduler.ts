import Sqlite from 'better-sqlite3';
import type { Bell } from '../bell.ts';
import { dutyTexts } from '../texts.ts';
import { type Calendar, calendarOf, wasTaken } from './calendar.ts';
import type { Duty, RunOutcome } from './definition.ts';
import { DueQueue } from './due-queue.ts';
import { firstDueMs, nextDueMs } from './interval.ts';
import { afterRestart, begun, type DutyProgress, ended, type Moment, noProgress, waitMs } from './progress-of-duty.ts';
import type { DutyView, SchedulerParts } from './scheduler-parts.ts';

/** The scheduler looks at least this often, so that its turns show that it lives. */
const turnMsMax = 1_000;
/** A calendar that had no time within a day is looked at again after this. */
const lookAgainS = 3_600;
/** Runs at one time; further ones wait for their turn. */
const runsMax = 8;

interface Entry {
  readonly duty: Duty;
  readonly calendar: Calendar | null;
  /** The next time of the calendar, and when it was looked for; null: not yet. */
  next: { readonly atS: number | null; readonly lookedS: number } | null;
  progress: DutyProgress;
  result: unknown;
  /** The due time that the present attempts belong to; for an interval, on the monotonic clock. */
  dueMs: number;
  running: AbortController | null;
  /** Who asked for a run, to be told of the next one that begins. */
  readonly asked: ((outcome: RunOutcome) => void)[];
  /** Who is told of the run that is under way. */
  answered: ((outcome: RunOutcome) => void)[];
}

/**
 * Runs duties when they are due, each by itself: none waits for another one, and none runs twice at a time. The wall clock
 * only says which minute a calendar is in.
 */
export class Scheduler {
  /** Rises with each turn: work goes on while it rises. */
  turns = 0;
  readonly #parts: SchedulerParts;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #calendars: readonly Entry[];
  readonly #queue = new DueQueue<{ readonly entry: Entry; readonly isRetry: boolean }>();
  readonly #ready: Entry[] = [];
  #running = 0;
  #lookedS: number;
  #wake: Bell | null = null;
  #storeFails = false;

  constructor(parts: SchedulerParts, duties: readonly Duty[]) {
    this.#parts = parts;
    this.#lookedS = parts.clock.wallS();
    const entries = duties.map((duty) => this.#entryOf(duty));
    this.#entries = new Map(entries.map((entry) => [entry.duty.name, entry]));
    this.#calendars = entries.filter(({ calendar }) => calendar !== null);
    if (this.#entries.size < duties.length) throw new RangeError('two duties have one name');
    for (const entry of entries) {
      if (entry.calendar === null) this.#queue.add(entry.dueMs, { entry, isRetry: false });
      this.#planRetry(entry);
    }
  }

  /** Until the signal aborts: then runs are told to end, and what they did not finish does not count against them. */
  async run(bell: Bell, signal: AbortSignal): Promise<void> {
    this.#wake = bell;
    try {
      while (!signal.aborted) {
        this.turn();
        const untilDueMs = (this.#queue.firstMs ?? Number.POSITIVE_INFINITY) - this.#nowMs();
        await bell.wait(Math.min(Math.max(untilDueMs, 0), turnMsMax), signal);
      }
    } finally {
      this.#ready.length = 0;
      for (const entry of this.#entries.values()) this.#cutOff(entry);
    }
  }

  /** Starts what is due now. */
  turn(): void {
    const nowMs = this.#nowMs();
    for (let due = this.#queue.takeUpTo(nowMs); due !== null; due = this.#queue.takeUpTo(nowMs)) {
      this.#makeReady(due.entry);
      if (!due.isRetry) this.#plan(due.entry, nowMs);
    }
    this.#lookAtCalendars();
    this.#lookAhead();
    this.#startReady();
    this.turns += 1;
  }

  /**
   * Runs a duty now, whatever its schedule and its breaker say: a run that is under way began before, so another one follows.
   * @returns null: there is no such duty
   */
  runNow(name: string): Promise<RunOutcome> | null {
    const entry = this.#entries.get(name);
    if (entry === undefined) return null;
    const outcome = new Promise<RunOutcome>((resolve) => entry.asked.push(resolve));
    this.#makeReady(entry);
    this.#startReady();
    return outcome;
  }

  /** Duties whose breaker is open. */
  get open(): number {
    return [...this.#entries.values()].filter(({ progress }) => progress.open !== null).length;
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** At most `max`, those in trouble first, then as they are defined. */
  views(max = Number.POSITIVE_INFINITY): DutyView[] {
    const inTrouble: Entry[] = [];
    const others: Entry[] = [];
    for (const entry of this.#entries.values()) {
      const { open, failures } = entry.progress;
      (open !== null || failures > 0 ? inTrouble : others).push(entry);
    }
    return [...inTrouble, ...others].slice(0, max).map((entry) => this.#viewOf(entry));
  }

  #viewOf({ duty, calendar, next, progress, dueMs, running, result }: Entry): DutyView {
    const { last, failures, open } = progress;
    const heldMs = waitMs(progress, duty.budget, this.#now());
    const nextS = next?.atS ?? null;
    const nextMs = nextS === null ? null : Math.max(nextS - this.#parts.clock.wallS(), 0) * 1_000;
    const untilDueMs = calendar === null ? Math.max(dueMs - this.#nowMs(), 0) : nextMs;
    const state = running !== null ? 'running' : open !== null ? 'open' : 'waiting';
    return { name: duty.name, state, last, result, failures, nextInMs: heldMs > 0 ? heldMs : untilDueMs };
  }

  #entryOf(duty: Duty): Entry {
    const { schedule, budget, name, atOnce = false } = duty;
    const { clock, random } = this.#parts;
    const known = this.#read(name);
    const progress = afterRestart(known, budget, this.#now(), dutyTexts.cutOff);
    if (progress !== known) this.#write(name, progress);
    const calendar = 'calendar' in schedule ? calendarOf(schedule.calendar, schedule.timeZone) : null;
    const dueMs = 'everyMs' in schedule ? firstDueMs(schedule.everyMs, atOnce, clock.monoMs(), random()) : 0;
    return { duty, calendar, next: null, progress, dueMs, running: null, asked: [], answered: [], result: undefined };
  }

  /** A duty that still runs, or waits for its turn, is not started a second time: this due time passes. */
  #makeReady(entry: Entry): void {
    if (entry.running === null && !this.#ready.includes(entry)) this.#ready.push(entry);
  }

  /** Sets the next time at which an interval is looked at. */
  #plan(entry: Entry, nowMs: number): void {
    const { schedule } = entry.duty;
    if (!('everyMs' in schedule)) return;
    const { everyMs, jitter = 0 } = schedule;
    entry.dueMs = nextDueMs(entry.dueMs, everyMs, jitter, nowMs, this.#parts.random());
    this.#queue.add(entry.dueMs, { entry, isRetry: false });
  }

  /** The further attempts of a due time, and the try of an open breaker, have times of their own. */
  #planRetry(entry: Entry): void {
    const heldMs = waitMs(entry.progress, entry.duty.budget, this.#now());
    if (heldMs > 0) this.#queue.add(this.#nowMs() + heldMs, { entry, isRetry: true });
  }

  #lookAtCalendars(): void {
    if (this.#parts.clockIsWrong()) return;
    const nowS = this.#parts.clock.wallS();
    if (Math.floor(nowS / 60) === Math.floor(this.#lookedS / 60)) return;
    for (const entry of this.#entries.values()) {
      const due = entry.calendar?.dueBetween(this.#lookedS, nowS) ?? null;
      if (due === null || wasTaken(due, entry.progress.taken)) continue;
      entry.progress = { ...entry.progress, taken: due };
      this.#makeReady(entry);
    }
    this.#lookedS = nowS;
  }

  /** For people: one calendar at a turn, because a look at a whole day takes milliseconds. */
  #lookAhead(): void {
    const entry = this.#calendars[this.turns % Math.max(this.#calendars.length, 1)];
    if (entry === undefined) return;
    const nowS = this.#parts.clock.wallS();
    const { atS, lookedS } = entry.next ?? { atS: null, lookedS: Number.NEGATIVE_INFINITY };
    const isKnown = atS === null ? nowS < lookedS + lookAgainS : nowS < atS;
    if (isKnown && nowS >= lookedS) return;
    entry.next = { atS: entry.calendar?.nextWithinDay(nowS) ?? null, lookedS: nowS };
  }

  #startReady(): void {
    while (this.#running < runsMax) {
      const entry = this.#ready.shift();
      if (entry === undefined) return;
      const isAsked = entry.asked.length > 0;
      if (isAsked || waitMs(entry.progress, entry.duty.budget, this.#now()) === 0) void this.#start(entry);
    }
  }

  async #start(entry: Entry): Promise<void> {
    const { duty } = entry;
    const running = new AbortController();
    entry.running = running;
    entry.answered = entry.asked.splice(0);
    this.#running += 1;
    entry.progress = begun(entry.progress, this.#now(), '');
    if (duty.isTrusted !== true) this.#write(duty.name, entry.progress);
    const outcome = await duty.run(running.signal);
    this.#running -= 1;
    // At a stop, what was cut off was noted already.
    if (entry.running !== running) return;
    entry.running = null;
    this.#end(entry, outcome);
    this.#startReady();
  }

  #end(entry: Entry, outcome: RunOutcome): void {
    const { duty, progress: before } = entry;
    entry.progress = ended(before, duty.budget, outcome, this.#now());
    entry.result = outcome.outcome === 'done' ? outcome.result : undefined;
    const { open, attempts, failures, last } = entry.progress;
    if (duty.isTrusted !== true || failures !== before.failures || attempts !== before.attempts) {
      this.#write(duty.name, entry.progress);
    }
    if (outcome.outcome === 'failed' && before.last?.error !== last?.error) {
      this.#parts.log.warn({ duty: duty.name, code: outcome.code, error: outcome.error }, dutyTexts.failed);
    }
    if (open !== null && before.open === null)
      this.#parts.log.error({ duty: duty.name, openForMs: open.forMs }, dutyTexts.opened);
    this.#planRetry(entry);
    for (const tell of entry.answered.splice(0)) tell(outcome);
    if (entry.asked.length > 0) this.#makeReady(entry);
    this.#wake?.ring();
  }

  #cutOff(entry: Entry): void {
    const { running, duty } = entry;
    const told = [...entry.answered.splice(0), ...entry.asked.splice(0)];
    for (const tell of told) tell({ outcome: 'failed', code: 'cut-off', error: dutyTexts.cutOff });
    if (running === null) return;
    entry.running = null;
    entry.progress = { ...entry.progress, runningSince: null };
    if (duty.isTrusted !== true) this.#write(duty.name, entry.progress);
    running.abort();
  }

  #read(name: string): DutyProgress {
    try {
      return this.#parts.store.read(name);
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError)) throw error;
      this.#parts.log.error({ duty: name, code: error.code }, dutyTexts.notRead);
      return noProgress;
    }
  }

  #write(name: string, progress: DutyProgress): void {
    try {
      this.#parts.store.write(name, progress);
      this.#storeFails = false;
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError)) throw error;
      // Logged once, not with each run.
      if (!this.#storeFails) this.#parts.log.error({ duty: name, code: error.code }, dutyTexts.notNoted);
      this.#storeFails = true;
    }
  }

  #now(): Moment {
    return { boot: this.#parts.boot, monoMs: this.#nowMs() };
  }

  #nowMs(): number {
    return this.#parts.clock.monoMs();
  }
}
