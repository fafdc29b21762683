/** The age of older data as a person reads and types it: whole hours of running up to two days, then whole days. */
const hourMs = 60 * 60_000;
const dayH = 24;
const hoursUpTo = 2 * dayH;
/** Digits of a number that somebody types. */
const digitsMax = 6;

/** In hours; it changes only when the word for it changes. */
export function ageHOf(ms: number): number {
  const hours = Math.floor(Math.max(0, ms) / hourMs);
  return hours < hoursUpTo ? hours : hours - (hours % dayH);
}

/** `5d` or `7h`. */
export function ageWord(ageH: number): string {
  return ageH < hoursUpTo ? `${ageH}h` : `${Math.floor(ageH / dayH)}d`;
}

/** What a person typed, in hours; null: it is not an age. */
export function ageTyped(text: string): number | null {
  const match = new RegExp(`^(\\d{1,${digitsMax}}) ?([hd])$`).exec(text.trim().toLowerCase());
  if (match === null) return null;
  return Number(match[1]) * (match[2] === 'd' ? dayH : 1);
}
