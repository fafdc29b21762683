import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { shapeProblem } from '../../protocol/shape-problem.ts';

const shape = z.object({
  name: z.string().max(3),
  count: z.int().min(1),
  kind: z.enum(['a', 'b']),
  list: z.array(z.object({ on: z.boolean() })).max(1),
  code: z
    .string()
    .regex(/^\d+$/)
    .refine((text) => text !== '7', 'seven is taken'),
});
const good = { name: 'abc', count: 1, kind: 'a', list: [], code: '1' };
const said = (changes: object) => {
  const parsed = shape.safeParse({ ...good, ...changes });
  return parsed.success ? 'it is right' : shapeProblem(parsed.error);
};

describe('what is wrong with a value', () => {
  it.each([
    [{ name: undefined }, 'name is missing; a text is needed'],
    [{ name: 7 }, 'name must be a text, and is a number'],
    [{ name: 'abcd' }, 'name must have at most 3 characters'],
    [{ count: 0 }, 'count must be at least 1'],
    [{ count: 1.5 }, 'count must be a whole number, and is a number'],
    [{ kind: 'c' }, 'kind must be "a" or "b"'],
    [{ list: [{ on: 'yes' }] }, 'list.0.on must be true or false, and is a text'],
    [{ list: [{ on: true }, { on: true }] }, 'list must have at most 1 entries'],
    [{ code: 'x' }, 'code must look like /^\\d+$/'],
    [{ code: '7' }, 'code: seven is taken'],
    [{}, 'it is right'],
  ])('%j is said in plain words: %s', (changes, text) => {
    expect(said(changes)).toBe(text);
  });

  it('names the value itself where it has no field, and a few fields only', () => {
    const parsed = z.object({}).safeParse([]);
    expect(parsed.error && shapeProblem(parsed.error)).toBe('it must be an object, and is a list');
    expect(said({ name: 1, count: '', kind: 1, list: 1, code: 1 })).toMatch(/; and 1 more$/);
  });
});
