import type { HealthAnswer } from '../../protocol/health.ts';
import { verdictTexts } from '../words/texts.ts';
import type { Moment } from './deferral.ts';

/** Does a committed agent that runs also work? What the looks of many runs of the updater add up to. All pure. */

/** The committed agent as it was last seen. For one boot and one start: a new start has everything to show anew. */
export interface Sign {
  readonly boot: string;
  readonly start: string;
  /** The highest counter of work that this start has shown; null: it has not answered yet. */
  readonly progress: number | null;
  /** Whether the newest look was answered. */
  readonly answers: boolean;
  /** Consecutive looks that found nothing new. */
  readonly looks: number;
  /** When the first of these was. Not the last one that found something: there may have been no looks in between. */
  readonly sinceMs: number;
}

/** @param answer of this start; null: there was none */
export function signSeen(
  before: Sign | null,
  start: string,
  answer: Pick<HealthAnswer, 'progress'> | null,
  now: Moment,
): Sign {
  const goesOn = before !== null && before.boot === now.boot && before.start === start;
  const known = goesOn ? before.progress : null;
  const seen = { boot: now.boot, start, answers: answer !== null };
  if (answer !== null && (known === null || answer.progress > known)) {
    return { ...seen, progress: answer.progress, looks: 0, sinceMs: now.atMs };
  }
  if (!goesOn || before.looks === 0) return { ...seen, progress: known, looks: 1, sinceMs: now.atMs };
  return { ...seen, progress: known, looks: before.looks + 1, sinceMs: before.sinceMs };
}

export interface StandstillLimits {
  /** How long a trial lets work stand still, and an agent not answer. */
  readonly stallMs: number;
  readonly answerMs: number;
}

/** `unknown`: it has not answered yet, or not this time; unknown is neither healthy nor a failure. */
export type Working = { readonly word: 'works' } | { readonly word: 'unknown' } | Lame;
export interface Lame {
  readonly word: 'silent' | 'still';
  readonly forMs: number;
  readonly isHung: boolean;
}

export function isLame(working: Working): working is Lame {
  return working.word === 'silent' || working.word === 'still';
}

/** One look without an answer is not silence, and runs may follow each other closely. */
const looksLeast = { lame: 2, hung: 3 } as const;
/**
 * Ending an agent that only rests does harm, so it gets several times what would fail a trial: ten minutes by default.
 */
const hungAfter = 4;

export function workingOf(sign: Sign | null, nowMs: number, { stallMs, answerMs }: StandstillLimits): Working {
  if (sign === null) return { word: 'unknown' };
  const forMs = sign.looks === 0 ? 0 : Math.max(0, nowMs - sign.sinceMs);
  const showsNothing = sign.looks >= looksLeast.lame && forMs >= (sign.answers ? stallMs : answerMs);
  if (!showsNothing) return { word: sign.answers ? 'works' : 'unknown' };
  const isHung = sign.looks >= looksLeast.hung && forMs >= stallMs * hungAfter;
  return { word: sign.answers ? 'still' : 'silent', forMs, isHung };
}

/** For people, after the version. */
export function standstillText(working: Working): string {
  if (working.word === 'works') return verdictTexts.healthy;
  if (working.word === 'unknown') return verdictTexts.notKnownYet;
  const minutes = Math.max(1, Math.round(working.forMs / 60_000));
  return working.word === 'silent' ? verdictTexts.silent(minutes) : verdictTexts.standsStill(minutes);
}
