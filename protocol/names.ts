import { z } from 'zod';

/** The one rule for the names of appliances and sites. */

/** Code units, as every released program stores and reads them. */
const nameMax = 60;
/** Typed text may be decomposed, with several code units per letter. */
const typedMax = 4 * nameMax;
const tooLong = `at most ${nameMax} characters; each mark above or below a letter counts as one`;
/**
 * Letters and digits of every script, each with the marks that belong to it (as in Thai or Devanagari); no script needs
 * more.
 */
const name = /^[\p{L}\p{N}]\p{M}{0,4}(?:[\p{L}\p{N}]\p{M}{0,4}|[ ._-])*$/u;
/** What no font shows, though it counts as a letter or a mark: two names would look the same. */
const unseen = /\p{Default_Ignorable_Code_Point}/u;

/** A name as a person types it for a look-up: by name, or by id in any form. */
export const typedNameShape = z.string().max(typedMax, tooLong);

/** A new name in its one form (NFC, trimmed), whatever form the keyboard or the file system gives. */
export const nameShape = typedNameShape
  .transform((typed) => typed.normalize('NFC').trim())
  .pipe(
    z
      .string()
      .min(1, { error: 'a name has at least one character', abort: true })
      .max(nameMax, tooLong)
      .regex(name, 'letters, digits, blanks, dots and dashes')
      .refine((text) => !unseen.test(text), 'only characters that can be seen'),
  );

/** Equal for every way to write a name: a person could not tell two names with the same key apart. */
export function nameKey(typed: string): string {
  return typed.normalize('NFKC').trim().toLowerCase().normalize('NFC');
}

const order = new Intl.Collator('und', { numeric: true });

/** The order in which people look for names, the same on every machine: Ä beside A, and pier-2 before pier-10. */
export function compareNames(a: string, b: string): number {
  return order.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
