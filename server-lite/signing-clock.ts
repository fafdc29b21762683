import { Refusal } from './refusal.ts';
import type { Settings } from './store/settings.ts';
import { clockTexts } from './texts.ts';

/**
 * The server's clock, for everything that it signs and everything that becomes due. A wrong time that was signed once
 * cannot be taken back from appliances. So this clock follows the machine's only within bounds. Beyond them it
 * continues by itself, in monotonic time, and says so until a person decides or the machine's clock comes back.
 */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** How far ahead the machine's clock may be and still be followed. */
export const aheadMaxMs = {
  /** Of the build, with a data directory that never signed: nobody begins with software that is older. */
  fresh: 3 * 365 * dayMs,
  /** Of the last signed time, at a start: if the server was off for longer, a person confirms the clock. */
  start: 30 * dayMs,
  /** Of the time that has passed since then, while the server runs. */
  running: dayMs,
} as const;
/** If the machine's clock is behind by at most this, this clock waits for it; beyond that it is wrong. */
const waitsForMs = hourMs;
/** The stored mark is this far ahead of the signed time, and is written again when it is reached. */
const markAheadMs = 5 * 60_000;

const markName = 'signed-up-to-ms';

/** Why the machine's clock is not followed. */
export interface ClockTrouble {
  readonly kind: 'ahead' | 'behind';
  readonly machineMs: number;
  readonly sentence: string;
  /** If it is behind: the sentence without what to do next. */
  readonly what: string;
}

export interface SigningClock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** The same, after marking it on the disk as used: signatures carry this time. Not inside a transaction. */
  stampMs(): number;
  trouble(): ClockTrouble | null;
  /**
   * The operator's word that the machine's clock is right although it is ahead.
   * @throws Refusal `clock-in-order`, `clock-behind`
   */
  accept(): void;
  /**
   * The operator's word that the machine's clock is right, and what was signed before was not.
   * @throws Refusal `clock-in-order`, `clock-behind`
   */
  reset(): void;
  /** Writes the exact last time, at a clean stop. */
  settle(): void;
}

export interface SigningClockParts {
  /** The machine's clock, which may be anything. */
  readonly machineMs: () => number;
  readonly monoMs: () => number;
  readonly builtAtMs: number;
  readonly settings: Settings;
  readonly log: { warn(text: string): void; error(error: unknown, text: string): void };
}

interface Reading {
  readonly ms: number;
  readonly monoMs: number;
}

function dateText(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15
    ? new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
    : clockTexts.noDate;
}

function markOf(settings: Settings, builtAtMs: number): number | null {
  const text = settings.read(markName);
  const ms = text === null ? Number.NaN : Number(text);
  // A value that is no time at all, or before the build, tells nothing.
  return Number.isSafeInteger(ms) && ms >= builtAtMs && ms < 8.64e15 ? ms : null;
}

class FollowingClock implements SigningClock {
  readonly #parts: SigningClockParts;
  /** The machine's clock is compared with this time and what has passed since. */
  #anchor: Reading & { readonly aheadMaxMs: number };
  /** The greatest time that was handed out. */
  #last: Reading;
  #mark: number;
  #isSettled = false;
  #told: ClockTrouble['kind'] | null = null;

  constructor(parts: SigningClockParts) {
    this.#parts = parts;
    const stored = markOf(parts.settings, parts.builtAtMs);
    const reading = { ms: stored ?? parts.builtAtMs, monoMs: parts.monoMs() };
    this.#anchor = { ...reading, aheadMaxMs: stored === null ? aheadMaxMs.fresh : aheadMaxMs.start };
    this.#last = reading;
    this.#mark = reading.ms;
  }

  nowMs(): number {
    const machineMs = this.#parts.machineMs();
    const monoMs = this.#parts.monoMs();
    const kind = this.#kindOf(machineMs, monoMs);
    this.#tell(kind);
    const passedMs = Math.max(monoMs - this.#last.monoMs, 0);
    const ms = kind === null ? Math.max(machineMs, this.#last.ms) : this.#last.ms + passedMs;
    if (kind === null && !this.#isSettled) this.#settleAt({ ms, monoMs });
    this.#last = { ms, monoMs };
    // Whole: each column that holds a time is an integer.
    return Math.floor(ms);
  }

  stampMs(): number {
    const ms = this.nowMs();
    if (ms > this.#mark) this.#writeMark(ms + markAheadMs);
    return ms;
  }

  trouble(): ClockTrouble | null {
    const ms = this.nowMs();
    const machineMs = this.#parts.machineMs();
    const kind = this.#kindOf(machineMs, this.#parts.monoMs());
    if (kind === null) return null;
    const says = clockTexts.says(dateText(machineMs));
    const signs = clockTexts.continuesWith(dateText(ms));
    const sentence =
      kind === 'ahead'
        ? clockTexts.ahead(says, Math.round((machineMs - ms) / dayMs), signs)
        : clockTexts.behind(clockTexts.behindBy(says, signs));
    return { kind, machineMs, what: clockTexts.behindBy(says, signs), sentence };
  }

  accept(): void {
    const trouble = this.#requireTrouble();
    if (trouble.kind === 'behind') {
      throw new Refusal('clock-behind', trouble.what, clockTexts.behindNext);
    }
    this.#follow(trouble.machineMs);
  }

  reset(): void {
    const { machineMs } = this.#requireTrouble();
    if (!(machineMs >= this.#parts.builtAtMs)) {
      const built = dateText(this.#parts.builtAtMs);
      throw new Refusal('clock-behind', clockTexts.beforeBuild(dateText(machineMs), built), clockTexts.beforeBuildNext);
    }
    this.#follow(machineMs);
  }

  settle(): void {
    const ms = Math.ceil(this.#last.ms);
    if (ms !== this.#mark && this.#isSettled) this.#writeMark(ms);
  }

  #kindOf(machineMs: number, monoMs: number): ClockTrouble['kind'] | null {
    const passedMs = Math.max(monoMs - this.#anchor.monoMs, 0);
    if (machineMs > this.#anchor.ms + passedMs + this.#anchor.aheadMaxMs) return 'ahead';
    return machineMs >= this.#last.ms - waitsForMs ? null : 'behind';
  }

  #settleAt(reading: Reading): void {
    this.#anchor = { ...reading, aheadMaxMs: aheadMaxMs.running };
    this.#isSettled = true;
  }

  #follow(machineMs: number): void {
    const reading = { ms: Math.floor(machineMs), monoMs: this.#parts.monoMs() };
    this.#last = reading;
    this.#settleAt(reading);
    this.#writeMark(reading.ms + markAheadMs);
    this.#parts.log.warn(clockTexts.confirmed(dateText(machineMs)));
  }

  #requireTrouble(): ClockTrouble {
    const trouble = this.trouble();
    if (trouble !== null) return trouble;
    throw new Refusal('clock-in-order', clockTexts.inOrder, clockTexts.inOrderNext);
  }

  #tell(kind: ClockTrouble['kind'] | null): void {
    if (kind === this.#told) return;
    this.#told = kind;
    this.#parts.log.warn(this.trouble()?.sentence ?? clockTexts.followed);
  }

  /** A full disk must not stop check-ins: the mark is written as soon as the disk takes it. */
  #writeMark(ms: number): void {
    try {
      this.#parts.settings.write(markName, String(ms));
      this.#mark = ms;
    } catch (error) {
      this.#parts.log.error(error, clockTexts.notStored);
    }
  }
}

export function signingClockOf(parts: SigningClockParts): SigningClock {
  return new FollowingClock(parts);
}
