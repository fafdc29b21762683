import { createTask, validateDetailed } from 'node-cron';
import { dutyTexts } from '../texts.ts';

const minuteS = 60;
/** Due times further back than this are over. */
const lookBackS = 24 * 60 * 60;
/** A due time that was taken so far ahead was taken by a clock that was wrong: it holds nothing back. */
const takenAheadMsMax = 36 * 60 * 60_000;

/** Due times of a cron expression in a time zone, minute by minute of a wall clock that is given. */
export interface Calendar {
  /**
   * The newest due minute after `fromS` and up to `toS`, as local time (`2026-10-25 02:30`); null: none. Only the last
   * day is looked at.
   */
  dueBetween(fromS: number, toS: number): string | null;
  /** The first due minute after `fromS` within a day, in seconds since 1970; null: none. */
  nextWithinDay(fromS: number): number | null;
}

/** @returns what is wrong with the expression or the time zone; null: nothing */
export function calendarProblem(expression: string, timeZone: string): string | null {
  if (expression.trim().split(/\s+/).length !== 5) return dutyTexts.fiveFields(expression);
  const { errors } = validateDetailed(expression);
  if (errors.length > 0) return errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return null;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return dutyTexts.noTimeZone(timeZone);
  }
}

/** @throws RangeError when {@link calendarProblem} finds one */
export function calendarOf(expression: string, timeZone: string): Calendar {
  const problem = calendarProblem(expression, timeZone);
  if (problem !== null) throw new RangeError(problem);
  // It is never started: only its times are asked for, with a clock of ours.
  const times = createTask(expression, () => undefined, { timezone: timeZone });
  const local = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  const isDue = (seconds: number) => times.match(new Date(seconds * 1_000));
  return {
    dueBetween: (fromS, toS) => {
      const first = Math.max(fromS, toS - lookBackS);
      for (let at = toS - (toS % minuteS); at > first; at -= minuteS) {
        if (isDue(at)) return local.format(at * 1_000);
      }
      return null;
    },
    nextWithinDay: (fromS) => {
      const begin = fromS - (fromS % minuteS) + minuteS;
      for (let at = begin; at <= begin + lookBackS; at += minuteS) if (isDue(at)) return at;
      return null;
    },
  };
}

/**
 * Whether a due minute was taken before: the same local minute comes twice where a clock is put back, by an hour in
 * autumn or by hand.
 * @param taken the last one that was taken; empty: none
 */
export function wasTaken(due: string, taken: string): boolean {
  if (taken === '') return false;
  const aheadMs = Date.parse(`${taken}Z`) - Date.parse(`${due}Z`);
  return aheadMs >= 0 && aheadMs <= takenAheadMsMax;
}
