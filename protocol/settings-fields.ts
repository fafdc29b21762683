import { z } from 'zod';
import { shapeProblem } from './shape-problem.ts';

/** A field whose value does not fit: its standard holds. */
export interface FieldProblem {
  /** From the top of the file, as `checks.disk.freeMb`. */
  readonly path: string;
  readonly problem: string;
  /** As JSON. */
  readonly standard: string;
}

/** The object below a default, or null. */
function objectBelow(field: z.core.$ZodType): z.ZodObject | null {
  if (field instanceof z.ZodObject) return field;
  return field instanceof z.ZodDefault || field instanceof z.ZodPrefault ? objectBelow(field.def.innerType) : null;
}

/**
 * Reads settings field by field: a missing one takes its standard, and so does one that does not fit, which is told by its
 * path; fields that are not known are passed over.
 * @param shape each of its fields has a standard
 */
export function readFields<Shape extends z.ZodObject>(
  shape: Shape,
  found: unknown,
  above = '',
): { readonly value: z.infer<Shape>; readonly problems: readonly FieldProblem[] } {
  const problems: FieldProblem[] = [];
  const fields = typeof found === 'object' && found !== null ? (found as Readonly<Record<string, unknown>>) : {};
  const entries = Object.entries(shape.shape).map(([name, field]) => {
    const path = `${above}${name}`;
    const given = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const inner = objectBelow(field);
    if (inner !== null && typeof given === 'object' && given !== null && !Array.isArray(given)) {
      const below = readFields(inner, given, `${path}.`);
      problems.push(...below.problems);
      return [name, below.value];
    }
    const parsed = z.safeParse(field, given);
    if (parsed.success) return [name, parsed.data];
    const standard = z.parse(field, undefined);
    problems.push({ path, problem: shapeProblem(parsed.error), standard: JSON.stringify(standard) });
    return [name, standard];
  });
  return { value: Object.fromEntries(entries) as z.infer<Shape>, problems };
}

/** One field, for people. */
export interface ExplainedField {
  readonly path: string;
  /** What it takes, e.g. `a whole number from 20 to 60000`. */
  readonly takes: string;
  /** As JSON. */
  readonly standard: string;
  readonly text: string;
}

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly default?: unknown;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
}

/** The fields of settings, in the order of their schema. */
export function explainFields(shape: z.ZodObject): ExplainedField[] {
  return explained(z.toJSONSchema(shape, { io: 'input' }) as JsonSchema, '');
}

function explained({ properties = {} }: JsonSchema, above: string): ExplainedField[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = `${above}${name}`;
    if (field.properties !== undefined) return explained(field, `${path}.`);
    const standard = JSON.stringify(field.default) ?? 'null';
    return [{ path, takes: takenBy(field), standard, text: field.description ?? '' }];
  });
}

function takenBy({ type, enum: words, minimum, maximum, maxLength, maxItems }: JsonSchema): string {
  if (words !== undefined) return words.map((word) => JSON.stringify(word)).join(', ');
  if (type === 'integer' || type === 'number') {
    const noun = type === 'integer' ? 'a whole number' : 'a number';
    const bounds = [
      ...(minimum === undefined ? [] : [`from ${minimum}`]),
      ...(maximum === undefined ? [] : [`to ${maximum}`]),
    ];
    return [noun, ...bounds].join(' ');
  }
  if (type === 'string') return maxLength === undefined ? 'a text' : `a text of at most ${maxLength} characters`;
  if (type === 'array') return maxItems === undefined ? 'a list' : `a list of at most ${maxItems}`;
  return type === 'boolean' ? 'true or false' : 'an object';
}
