import type { HealthAnswer } from '../protocol/health.ts';

/** How long a healthy agent may put off a switch, and when it is healthy enough to be asked at all. All pure. */

/** A moment of monotonic time; without the boot it belongs to, it says nothing. */
export interface Moment {
  readonly boot: string;
  readonly atMs: number;
}

/** Releases whose deferral is remembered, the newest last: what was put off once is not put off anew later. */
const releasesMax = 8;

export interface Deferred {
  readonly manifest: string;
  readonly usedMs: number;
}

/** What all looks together add up to; only time between two looks of one boot that both saw the agent ask counts. */
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

/** A counter of work as it was seen last, and since when it has stood there. */
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
 * Is whoever answers healthy, so that it is worth waiting for? It says so itself only in part: it must be the version that
 * is meant to run, with its state migrated, and its work must have moved.
 */
export function isWorthWaitingFor(
  answer: HealthAnswer,
  { version, work, now, stallMs }: { version: string; work: Work; now: Moment; stallMs: number },
): boolean {
  return answer.version === version && answer.state.migrated && now.atMs - work.sinceMs < stallMs;
}

/** Characters of what the agent says that people are shown. */
const wordsMax = 120;
/** What would move the text of a page or a terminal, or look like something else. */
const oddCharacters = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]+/gu;

/** The agent's own words, for people; null: it has none. */
export function cleanWords(words: string): string | null {
  const clean = words.replace(oddCharacters, ' ').replace(/\s+/g, ' ').trim();
  return clean === '' ? null : [...clean].slice(0, wordsMax).join('');
}

function span(ms: number): string {
  const minutes = Math.ceil(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What the switch waits for, as part of `why`. */
export function deferralSentence(runs: string, words: string | null, leftMs: number): string {
  const said = words === null ? 'without saying why' : `“${words}”`;
  return `${runs} asks not to be stopped now: ${said}; the switch waits for it for ${span(leftMs)} more at the most`;
}
