import { checks } from './checks.ts';
import type { Observations } from './observations.ts';

/** A check that does not hold, and what is wrong. */
export interface FailedCheck {
  readonly name: string;
  readonly wrong: string;
}

/** Every check over everything that was seen; what was never seen fails too. */
export function failedChecks(seen: Observations): FailedCheck[] {
  return checks.flatMap(({ name, verify }) => {
    const wrong = verify(seen);
    return wrong === null ? [] : [{ name, wrong }];
  });
}
