import type { HealthAnswer } from '../../protocol/health.ts';
import { verdictTexts } from '../words/texts.ts';

/** How long a healthy agent may put off a switch, and when it is healthy enough to be asked at all. All pure. */

/** A moment of monotonic time; it means nothing without its boot. */
export interface Moment {
  readonly boot: string;
  readonly atMs: number;
}

/** Releases whose deferral is remembered, the newest last: one that was put off once is not put off again later. */
const releasesMax = 8;

export interface Deferred {
  readonly manifest: string;
  readonly usedMs: number;
}

/** The sum over all looks; only time between two looks of one boot that both saw the agent ask counts. */
export function deferredSoFar(
  before: readonly Deferred[],
  manifest: string,
  lastLook: (Moment & { readonly manifest: string }) | null,
  now: Moment,
): { readonly usedMs: number; readonly releases: readonly Deferred[] } {
  const known = before.find((one) => one.manifest === manifest)?.usedMs ?? 0;
  const goesOn = lastLook !== null && lastLook.manifest === manifest && lastLook.boot === now.boot;
  const usedMs = known + (goesOn ? Math.max(0, Math.round(now.atMs - lastLook.atMs)) : 0);
  const others = before.filter((one) => one.manifest !== manifest);
  return { usedMs, releases: [...others, { manifest, usedMs }].slice(-releasesMax) };
}

/** The last seen counter of work, and since when it has not moved. */
export interface Work {
  readonly boot: string;
  readonly start: string;
  readonly progress: number;
  readonly sinceMs: number;
}

export function workSeen(before: Work | null, start: string, progress: number, now: Moment): Work {
  const goesOn = before !== null && before.boot === now.boot && before.start === start;
  if (goesOn && progress <= before.progress) return before;
  return { boot: now.boot, start, progress, sinceMs: now.atMs };
}

/**
 * Is the answering agent healthy, so that it is worth waiting for? Its own word is not enough: it must be the version
 * that is meant to run, with its state migrated, and its work must have moved.
 */
export function isWorthWaitingFor(
  answer: HealthAnswer,
  { version, work, now, stallMs }: { version: string; work: Work; now: Moment; stallMs: number },
): boolean {
  return answer.version === version && answer.state.migrated && now.atMs - work.sinceMs < stallMs;
}

/** Characters of the agent's words that people are shown. */
const wordsMax = 120;
/** Characters that could distort the text of a page or a terminal, or look like something else. */
const oddCharacters = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]+/gu;

/** The agent's own words, for people; null: it gave none. */
export function cleanWords(words: string): string | null {
  const clean = words.replace(oddCharacters, ' ').replace(/\s+/g, ' ').trim();
  return clean === '' ? null : [...clean].slice(0, wordsMax).join('');
}

function span(ms: number): string {
  const minutes = Math.ceil(ms / 60_000);
  return minutes < 120 ? verdictTexts.minutes(minutes) : verdictTexts.hours(Math.floor(minutes / 60), minutes % 60);
}

/** What the switch waits for, as part of `why`. */
export function deferralSentence(runs: string, words: string | null, leftMs: number): string {
  const said = words === null ? verdictTexts.withoutReason : `“${words}”`;
  return verdictTexts.asksToWait(runs, said, span(leftMs));
}
