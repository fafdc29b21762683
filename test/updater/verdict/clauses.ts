import type { Case } from './cases.ts';
import { deferralCases } from './deferral-cases.ts';
import { failingCases } from './failing-cases.ts';
import { healthyCases } from './healthy-cases.ts';
import { lengthCases } from './length-cases.ts';

/** Every clause of the verdict of a trial that is a pure decision, with its cases. */
export const clauses: Readonly<Record<string, readonly Case[]>> = {
  ...healthyCases,
  ...failingCases,
  ...lengthCases,
  ...deferralCases,
};
