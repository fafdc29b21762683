import { z } from 'zod';

/** What an unknown word becomes, so that an older reader never refuses a newer writer. */
export interface UnknownWord {
  readonly kind: 'unknown';
  readonly raw: string;
}

/** An enumeration as it travels: known words as they are, any other string as {@link UnknownWord}. */
export function wireEnum<const Words extends readonly [string, ...string[]]>(words: Words) {
  const known = new Set<string>(words);
  return z
    .string()
    .max(64)
    .transform((raw): Words[number] | UnknownWord => (known.has(raw) ? raw : { kind: 'unknown', raw }));
}

/** The word itself, known or not, for a log or a page. */
export function wordOf(value: string | UnknownWord): string {
  return typeof value === 'string' ? value : value.raw;
}
