import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isMissing } from '../durable.ts';
import type { RanWork } from './trial-server.ts';

/** What a trial runs of one maker's work, and how long one run may hold up the others. */
export const workTriedMax = 20;
export const workMsMax = 60_000;

const namedShape = z.array(z.object({ name: z.string() }));
const catalogueShape = z.object({ duties: namedShape, checks: namedShape });

/** The names of the duties and checks that a maker put into the payload. */
export async function madeWorkIn(payloadDir: string): Promise<string[]> {
  try {
    const text = await readFile(join(payloadDir, 'maker.json'), 'utf8');
    const { duties, checks } = catalogueShape.parse(JSON.parse(text));
    return [...duties, ...checks].map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/**
 * Work that fails on no appliance alone: its module is not loaded in a thread, or the thread ends by itself. Anything else
 * may be for want of what only an appliance has.
 */
export function cannotRun({ error }: RanWork): boolean {
  return /^(not-loaded|ended): /.test(error);
}
