import { z } from 'zod';
import { isMadeDuty } from '../duties/made-duty.ts';
import { type DescribedDuty, dutyShape, requireDuty } from './duty-shape.ts';

/** Duties of one maker. */
const dutiesMax = 1_000;

/**
 * `maker.json`, beside the program: what the maker's module defines, written by the build, so that none of its code runs
 * on the agent's main thread.
 */
export const catalogueShape = z.object({ duties: z.array(dutyShape).max(dutiesMax) });
export type Catalogue = z.infer<typeof catalogueShape>;

/** @throws RangeError when a definition cannot work, or two have one name */
export function catalogueOf(exports: Readonly<Record<string, unknown>>): Catalogue {
  const duties = new Map<string, DescribedDuty>();
  for (const value of Object.values(exports)) {
    if (!isMadeDuty(value)) continue;
    const duty = requireDuty(value);
    if (duties.has(duty.name)) throw new RangeError(`two duties are named ${duty.name}`);
    duties.set(duty.name, duty);
  }
  if (duties.size > dutiesMax) throw new RangeError(`${duties.size} duties; at most ${dutiesMax} are taken`);
  return { duties: [...duties.values()] };
}
