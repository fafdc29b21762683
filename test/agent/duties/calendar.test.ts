import { describe, expect, it } from 'vitest';
import { calendarOf, calendarProblem, wasTaken } from '../../../agent/duties/calendar.ts';

const at = (iso: string) => Date.parse(iso) / 1_000;
const nightly = calendarOf('30 2 * * *', 'Europe/Berlin');

describe('the due times of a calendar', () => {
  it.each<[string, string, string | null]>([
    ['2026-07-01T00:29:59Z', '2026-07-01T00:30:00Z', '2026-07-01 02:30'],
    ['2026-07-01T00:30:00Z', '2026-07-01T00:31:00Z', null],
    // Three hours asleep: it was due once.
    ['2026-06-30T23:00:00Z', '2026-07-01T02:00:00Z', '2026-07-01 02:30'],
    // Half a year: only the last day counts, and of it the newest.
    ['2026-01-01T00:00:00Z', '2026-07-01T00:29:00Z', '2026-06-30 02:30'],
    ['2026-07-01T01:00:00Z', '2026-07-01T00:00:00Z', null],
  ])('after %s and up to %s: %s', (from, to, due) => {
    expect(nightly.dueBetween(at(from), at(to))).toBe(due);
  });

  it('have one local minute twice in autumn, and it is taken once', () => {
    const first = nightly.dueBetween(at('2026-10-25T00:29:00Z'), at('2026-10-25T00:30:00Z'));
    const second = nightly.dueBetween(at('2026-10-25T01:29:00Z'), at('2026-10-25T01:30:00Z'));
    expect([first, second]).toEqual(['2026-10-25 02:30', '2026-10-25 02:30']);
    expect(wasTaken(second ?? '', first ?? '')).toBe(true);
  });

  it('are named ahead, for a day', () => {
    expect(nightly.nextWithinDay(at('2026-07-01T00:30:00Z'))).toBe(at('2026-07-02T00:30:00Z'));
    expect(calendarOf('0 0 1 1 *', 'UTC').nextWithinDay(at('2026-07-01T00:30:00Z'))).toBeNull();
  });
});

describe('a due time', () => {
  it.each<[string, string, boolean]>([
    ['2026-07-01 02:30', '', false],
    ['2026-07-01 02:30', '2026-06-30 02:30', false],
    ['2026-07-01 02:30', '2026-07-01 02:30', true],
    // The clock was put back by a day: the night before was taken already.
    ['2026-06-30 02:30', '2026-07-01 02:30', true],
    // A clock that was wrong by a year once must not keep a duty from its work for a year.
    ['2026-07-01 02:30', '2027-07-01 02:30', false],
  ])('%s after %s was taken: %s', (due, taken, isTaken) => {
    expect(wasTaken(due, taken)).toBe(isTaken);
  });
});

describe('an expression that nobody can follow', () => {
  it.each<[string, string, RegExp]>([
    ['61 2 * * *', 'UTC', /minute/],
    ['30 2 * *', 'UTC', /five fields/],
    ['0 30 2 * * *', 'UTC', /five fields/],
    ['30 2 * * *', 'Mars/Olympus', /no such time zone/],
    ['', 'UTC', /five fields/],
  ])('"%s" in %s is refused', (expression, timeZone, words) => {
    expect(calendarProblem(expression, timeZone)).toMatch(words);
    expect(() => calendarOf(expression, timeZone)).toThrow(words);
  });

  it('is none that can be followed', () => {
    expect(calendarProblem('*/5 6-20 * * 1-5', 'Asia/Bangkok')).toBeNull();
  });
});
