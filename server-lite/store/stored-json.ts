import { z } from 'zod';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { eventTexts } from '../texts.ts';

export type Stored<Value> =
  | { readonly outcome: 'read'; readonly value: Value }
  /** Damaged, or written by an incompatible version; `why` is for the log. */
  | { readonly outcome: 'unreadable'; readonly why: string };

/**
 * Nesting of objects and lists: the server stores at most 5. SQLite reads 1,000, and writing JSON fails with the stack.
 */
const depthMax = 32;

export function isTooDeep(value: unknown, depth = depthMax): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((one) => isTooDeep(one, depth - 1));
}

/**
 * Reads JSON that the server stored. A damaged value must not affect others, so this never throws because of its
 * content.
 */
export function readStored<Shape extends z.ZodType>(shape: Shape, text: string): Stored<z.output<Shape>> {
  try {
    const json: unknown = JSON.parse(text);
    if (isTooDeep(json)) return { outcome: 'unreadable', why: eventTexts.nestedTooDeep };
    return { outcome: 'read', value: shape.parse(json) };
  } catch (error) {
    if (error instanceof SyntaxError) return { outcome: 'unreadable', why: error.message };
    if (error instanceof z.ZodError) return { outcome: 'unreadable', why: shapeProblem(error) };
    throw error;
  }
}
