import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aheadMaxMs, type SigningClock, signingClockOf } from '../../server-lite/signing-clock.ts';
import type { Settings } from '../../server-lite/store/settings.ts';
import { builtAtMs } from '../../server-lite/version.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const builtMs = Date.parse('2026-06-01T00:00:00Z');
const nowMs = builtMs + 100 * dayMs;

/** A machine whose clock and whose time are told, and what it keeps over restarts. */
class Machine {
  clockMs = nowMs;
  monoMs = 5_000;
  readonly stored = new Map<string, string>();
  readonly log: string[] = [];
  isFull = false;
  clock: SigningClock;

  constructor() {
    this.clock = this.started();
  }

  private started(): SigningClock {
    const settings: Settings = {
      read: (name) => this.stored.get(name) ?? null,
      write: (name, value) => {
        if (this.isFull) throw new Error('SQLITE_FULL');
        this.stored.set(name, value);
      },
    };
    const log = {
      warn: (text: string) => void this.log.push(text),
      error: (_: unknown, text: string) => void this.log.push(text),
    };
    const [machineMs, monoMs] = [() => this.clockMs, () => this.monoMs];
    return signingClockOf({ machineMs, monoMs, builtAtMs: builtMs, settings, log });
  }

  passes(ms: number): void {
    this.clockMs += ms;
    this.monoMs += ms;
  }

  /** `killed`: nothing was written at the end. */
  restart(how: 'stopped' | 'killed' = 'stopped'): void {
    if (how === 'stopped') this.clock.settle();
    this.monoMs = 0;
    this.clock = this.started();
  }

  get kind() {
    return this.clock.trouble()?.kind ?? null;
  }
}

describe("the server's clock", () => {
  it("is the machine's, while that is right", () => {
    const machine = new Machine();
    expect([machine.clock.stampMs(), machine.kind]).toEqual([nowMs, null]);
    machine.passes(40 * dayMs);
    expect([machine.clock.stampMs(), machine.kind]).toEqual([nowMs + 40 * dayMs, null]);
    machine.restart();
    machine.passes(25 * dayMs);
    expect([machine.clock.stampMs(), machine.kind, machine.log]).toEqual([nowMs + 65 * dayMs, null, []]);
  });

  it('begins with the build, in a machine that boots in 1970, goes on by itself, and follows when the clock is set', () => {
    const machine = new Machine();
    machine.clockMs = 0;
    machine.restart();
    expect([machine.clock.stampMs(), machine.kind]).toEqual([builtMs, 'behind']);
    machine.passes(hourMs);
    expect(machine.clock.stampMs()).toBe(builtMs + hourMs);
    machine.clockMs = nowMs;
    expect([machine.clock.stampMs(), machine.kind]).toEqual([nowMs, null]);
    expect(machine.log).toEqual([
      expect.stringMatching(/1970-01-01 00:00 UTC, which is behind.*clock reset$/),
      "the server follows its machine's clock again",
    ]);
  });

  it('goes on with what it signed last where the machine boots in 1970 later', () => {
    const machine = new Machine();
    machine.clock.stampMs();
    machine.clockMs = 0;
    machine.restart();
    machine.passes(90_000);
    expect([machine.clock.stampMs(), machine.kind]).toEqual([nowMs + 90_000, 'behind']);
  });

  it('never signs what is behind what it signed before, also after a crash', () => {
    const machine = new Machine();
    for (let i = 0; i < 10; i += 1) {
      machine.passes(70_000);
      machine.clock.stampMs();
    }
    const signed = machine.clock.stampMs();
    machine.clockMs -= 50 * 60_000;
    machine.restart('killed');
    expect(machine.clock.stampMs()).toBeGreaterThanOrEqual(signed);
    expect(machine.clock.stampMs()).toBeLessThanOrEqual(signed + 5 * 60_000);
    expect(machine.kind).toBeNull();
  });

  it('on a fresh data directory is followed up to three years past the build, and no further', () => {
    for (const [aheadMs, kind] of [
      [aheadMaxMs.fresh, null],
      [aheadMaxMs.fresh + 1_000, 'ahead'],
    ] as const) {
      const machine = new Machine();
      machine.clockMs = builtMs + aheadMs;
      machine.restart('killed');
      expect([machine.kind, machine.clock.nowMs()]).toEqual([kind, kind === null ? builtMs + aheadMs : builtMs]);
    }
  });

  it('at a start is followed up to thirty days past what was signed last, and no further', () => {
    for (const [days, kind] of [
      [29, null],
      [31, 'ahead'],
    ] as const) {
      const machine = new Machine();
      machine.clock.stampMs();
      machine.restart();
      machine.clockMs = nowMs + days * dayMs;
      expect([machine.kind, machine.clock.stampMs()]).toEqual([kind, kind === null ? nowMs + days * dayMs : nowMs]);
    }
  });

  it('is not followed where it jumps by more than a day, at once or in steps, and is when it comes back', () => {
    const machine = new Machine();
    machine.clock.stampMs();
    for (let i = 0; i < 4; i += 1) {
      machine.clockMs += 7 * hourMs;
      machine.passes(1_000);
      machine.clock.stampMs();
    }
    expect(machine.kind).toBe('ahead');
    expect(machine.clock.nowMs()).toBeLessThan(nowMs + dayMs);
    machine.clockMs = nowMs + 22 * hourMs;
    expect(machine.kind).toBeNull();
  });

  it('says how far ahead the machine is, and what a person does', () => {
    const machine = new Machine();
    machine.clock.stampMs();
    machine.clockMs += 200 * dayMs;
    expect(machine.clock.trouble()?.sentence).toMatch(
      /^the server's clock says .* UTC, which is 200 days ahead of what it signed before; .*: holdfast server clock accept$/,
    );
  });

  it('takes the word of an operator that a clock ahead is right, and keeps it over a restart', () => {
    const machine = new Machine();
    machine.clock.stampMs();
    machine.clockMs += 200 * dayMs;
    machine.clock.accept();
    expect([machine.clock.stampMs(), machine.kind]).toEqual([nowMs + 200 * dayMs, null]);
    machine.restart('killed');
    expect([machine.kind, machine.clock.stampMs() - machine.clockMs <= 5 * 60_000]).toEqual([null, true]);
  });

  it('takes the word of an operator that what was signed was wrong, and signs the true time again, over a restart too', () => {
    const machine = new Machine();
    machine.clock.stampMs();
    machine.clockMs += 200 * dayMs;
    machine.clock.accept();
    machine.clock.stampMs();
    machine.clockMs = nowMs;
    expect(machine.kind).toBe('behind');
    expect(() => machine.clock.accept()).toThrow(expect.objectContaining({ code: 'clock-behind' }));
    machine.clock.reset();
    expect([machine.clock.stampMs(), machine.kind]).toEqual([nowMs, null]);
    machine.restart('killed');
    expect(machine.kind).toBeNull();
    expect(machine.clock.stampMs() - nowMs).toBeLessThanOrEqual(5 * 60_000);
  });

  it('never goes behind its build, by nobody’s word, and has nothing to accept while all is well', () => {
    const machine = new Machine();
    expect(() => machine.clock.accept()).toThrow(expect.objectContaining({ code: 'clock-in-order' }));
    expect(() => machine.clock.reset()).toThrow(expect.objectContaining({ code: 'clock-in-order' }));
    machine.clockMs = builtMs - dayMs;
    expect(() => machine.clock.reset()).toThrow(expect.objectContaining({ code: 'clock-behind' }));
  });

  it('goes on where the disk is full, and what is stored and is no time is passed over', () => {
    const machine = new Machine();
    machine.isFull = true;
    expect(machine.clock.stampMs()).toBe(nowMs);
    expect(machine.log).toEqual(['the time that was signed last could not be stored']);
    for (const value of ['{"x', '', '-1', '1e300', String(Number.MAX_SAFE_INTEGER), 'NaN']) {
      machine.stored.set('signed-up-to-ms', value);
      machine.restart('killed');
      expect([value, machine.clock.nowMs(), machine.kind]).toEqual([value, nowMs, null]);
    }
  });

  it('whatever the machine’s clock does: it rises, within its bounds, never before the build, and in whole milliseconds', () => {
    const step = fc.record({
      jumpMs: fc.oneof(
        fc.constant(0),
        fc.double({ min: -4e11, max: 4e11, noNaN: true }),
        fc.constant(-Infinity),
        fc.constant(NaN),
      ),
      passesMs: fc.double({ min: 0, max: 2 * dayMs, noNaN: true }),
      next: fc.constantFrom('goes on' as const, 'stopped' as const, 'killed' as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const machine = new Machine();
        let before = machine.clock.stampMs();
        for (const { jumpMs, passesMs, next } of steps) {
          machine.clockMs = Number.isFinite(jumpMs) ? nowMs + jumpMs : jumpMs;
          machine.monoMs += passesMs;
          const limit = next === 'goes on' ? aheadMaxMs.running : aheadMaxMs.start;
          if (next !== 'goes on') machine.restart(next);
          const ms = machine.clock.stampMs();
          expect(Number.isSafeInteger(ms)).toBe(true);
          expect(ms).toBeGreaterThanOrEqual(Math.max(before, builtMs));
          if (next !== 'goes on') expect(ms - before).toBeLessThanOrEqual(limit + 10 * 60_000);
          before = ms;
        }
      }),
    );
  });
});

describe('the time of the build', () => {
  it('does not lie ahead of the commit that it is in', () => {
    const committedS = Number(
      execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: import.meta.dirname, encoding: 'utf8' }),
    );
    expect(builtAtMs()).toBeLessThanOrEqual(committedS * 1000);
    expect(builtAtMs()).toBeGreaterThan(Date.parse('2026-01-01T00:00:00Z'));
  });
});
