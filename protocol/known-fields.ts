import type { z } from 'zod';

/**
 * For files that a person wrote. Machine-written files and messages are read tolerantly, so that they may grow, but a
 * field that a person misspelt would pass for a setting in force.
 */

export interface UnknownField {
  /** From the top of the file, as `trial.helthyMs`. */
  readonly path: string;
  /** The known field that was probably meant; null: none is similar. */
  readonly meant: string | null;
}

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly innerType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly in?: z.core.$ZodType;
}

/** The deepest nesting of objects in a file. */
const depthMax = 12;

const definitionOf = (schema: z.core.$ZodType): Definition => schema._zod.def as Definition;

/** The fields that an object may have in a place; null: any, or it is not an object. */
function fieldsOf(schemas: readonly z.core.$ZodType[]): Map<string, z.core.$ZodType[]> | null {
  const fields = new Map<string, z.core.$ZodType[]>();
  let isObject = false;
  for (const schema of schemas) {
    const { type, shape } = definitionOf(schema);
    if (type === 'record' || type === 'unknown' || type === 'any') return null;
    if (shape === undefined) continue;
    isObject = true;
    for (const [name, field] of Object.entries(shape)) fields.set(name, [...(fields.get(name) ?? []), ...plain(field)]);
  }
  return isObject ? fields : null;
}

/** The schema without its wrappers: optional, nullable, a default, alternatives. */
function plain(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { innerType, options, in: input } = definitionOf(schema);
  if (options !== undefined) return options.flatMap(plain);
  const inner = innerType ?? input;
  return inner === undefined ? [schema] : plain(inner);
}

/** @param schema what the file is read by; objects in it that take any field are not checked */
export function unknownFields(schema: z.core.$ZodType, value: unknown): UnknownField[] {
  return unknownIn(plain(schema), value, '', 0);
}

function unknownIn(schemas: readonly z.core.$ZodType[], value: unknown, path: string, depth: number): UnknownField[] {
  if (typeof value !== 'object' || value === null || depth > depthMax) return [];
  if (Array.isArray(value)) {
    const elements = schemas.flatMap((schema) => {
      const { element } = definitionOf(schema);
      return element === undefined ? [] : plain(element);
    });
    return value.flatMap((one, index) => unknownIn(elements, one, `${path}${index}.`, depth + 1));
  }
  const fields = fieldsOf(schemas);
  if (fields === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const known = fields.get(name);
    if (known !== undefined) return unknownIn(known, inner, `${path}${name}.`, depth + 1);
    return [{ path: `${path}${name}`, meant: nearest(name, [...fields.keys()]) }];
  });
}

/** The known word that was meant; up to one slip per three letters still counts as that word. */
export function nearest(name: string, known: readonly string[]): string | null {
  const most = Math.max(1, Math.floor(name.length / 3));
  const ranked = known
    .map((word) => ({ word, slips: slipsBetween(name.toLowerCase(), word.toLowerCase()) }))
    .sort((a, b) => a.slips - b.slips);
  const best = ranked[0];
  return best !== undefined && best.slips <= most ? best.word : null;
}

/** Levenshtein's distance, with two swapped letters as one slip (optimal string alignment). */
function slipsBetween(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const at = (back: number, left: number): number => (back === 0 ? row : rows[i - back])?.[j - left] ?? 0;
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      let slips = Math.min(at(1, 0) + 1, at(0, 1) + 1, at(1, 1) + same);
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1])
        slips = Math.min(slips, at(2, 2) + 1);
      row.push(slips);
    }
    rows.push(row);
  }
  return rows.at(-1)?.at(-1) ?? 0;
}

/** The longest name that is repeated to a person. */
const shownMax = 60;

/** As the end of a sentence; empty: there are none. */
export function unknownFieldsText(unknown: readonly UnknownField[]): string {
  return unknown
    .slice(0, 4)
    .map(({ path, meant }) => {
      const shown = JSON.stringify(path.slice(0, shownMax));
      return meant === null ? `${shown} is not known` : `${shown} is not known (${meant} is)`;
    })
    .join(', ');
}
