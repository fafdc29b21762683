/** A time that has passed, in the largest unit that says enough: `12 s`, `3 min`, `2 h`, `4 d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 2 * 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** At most `max` characters; what is cut is marked. */
export function clip(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

/** `1 time`, `4 times`. */
export function times(count: number): string {
  return count === 1 ? '1 time' : `${count} times`;
}

/** The text with a capital first letter, for a page. */
export function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Drops a closing full stop, so that a person's sentence can be quoted inside another one. */
export function withoutFullStop(text: string): string {
  return text.trim().replace(/\.+$/, '');
}

/** Reasons as one text, each a sentence. */
export function reasonsText(reasons: readonly string[]): string {
  return reasons.map((reason) => `${sentenceCase(withoutFullStop(reason))}.`).join(' ');
}
