import { withFullStop } from '../../protocol/text.ts';
import { wordTexts } from '../texts.ts';

/** An elapsed time, in the largest unit that says enough: `12 s`, `3 min`, `2 h`, `4 d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return wordTexts.seconds(seconds);
  if (seconds < 2 * 3_600) return wordTexts.minutes(Math.floor(seconds / 60));
  if (seconds < 2 * 86_400) return wordTexts.hours(Math.floor(seconds / 3_600));
  return wordTexts.days(Math.floor(seconds / 86_400));
}

/** The beginning of a text, at most `max` bytes in UTF-8, cut between two characters. */
export function clipBytes(text: string, max: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(max));
  return text.slice(0, read);
}

/** `1 time`, `4 times`. */
export function times(count: number): string {
  return wordTexts.times(count);
}

/** The text with a capital first letter, for a page. */
export function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a text says beyond a sentence shown beside it; may be empty. */
export function beyond(said: string, text: string): string {
  const [known, plain] = [withoutFullStop(said).toLowerCase(), text.trim().toLowerCase()];
  const rest = text.trim().slice(known.length);
  if (known !== '' && plain.startsWith(known) && /^(?:[.…\s]|$)/.test(rest)) return rest.replace(/^[.…\s]+/, '');
  // `1.0.49 runs: 1.0.52 was rolled back, …`, beside a sentence that begins with what runs.
  const [, runs, cause] = /^(\S+ runs): (.+)$/s.exec(text.trim()) ?? [];
  return runs !== undefined && cause !== undefined && known.startsWith(runs.toLowerCase()) ? sentenceCase(cause) : text;
}

/** Those of a list whose name and reason a sentence shown beside it does not say already. */
export function untold<T extends { readonly name: string; readonly why: string }>(
  said: string,
  those: readonly T[],
): readonly T[] {
  const known = said.toLowerCase();
  return those.filter(
    ({ name, why }) => ![name, withoutFullStop(why)].every((part) => known.includes(part.toLowerCase())),
  );
}

/** Drops a final full stop, so that a person's sentence can be quoted inside another one. */
export function withoutFullStop(text: string): string {
  return text.trim().replace(/\.+$/, '');
}

/** Reasons as one text, each a sentence; one that was cut keeps its ellipsis. */
export function reasonsText(reasons: readonly string[]): string {
  return reasons.map((reason) => withFullStop(sentenceCase(withoutFullStop(reason)))).join(' ');
}
