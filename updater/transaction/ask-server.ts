import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import type { CheckInOutcome } from '../server/check-in.ts';

/**
 * The one question of a step that continues with the answer: a check-in when one is due or wanted, else null. The loop
 * reports the step itself afterwards.
 */
export type AskServer = (
  appliance: Appliance,
  state: StateBody,
  how: { readonly fresh: boolean; readonly signal?: AbortSignal },
) => Promise<CheckInOutcome | null>;
