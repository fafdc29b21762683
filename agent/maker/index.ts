import type { DutyDefinition, MadeDuty } from '../duties/made-duty.ts';
import { requireDuty } from './duty-shape.ts';

/**
 * What a maker imports as `holdfast/agent`: everything of the agent that their code can reach.
 */

export type { Budget, Schedule } from '../duties/definition.ts';
export type { DutyContext, DutyDefinition, MadeDuty } from '../duties/made-duty.ts';

/**
 * A piece of work on a schedule, in a thread of its own. It is exported by the maker's module, under any name.
 * @throws RangeError when its name, its schedule or its budget cannot work
 */
export function defineDuty<Result>(duty: DutyDefinition<Result>): MadeDuty {
  requireDuty(duty);
  return { ...duty, kind: 'duty' };
}
