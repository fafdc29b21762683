import type { SlotName } from '../../../protocol/component.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../../appliance/appliance.ts';
import type { Found, Recovered } from '../../outcome/outcome.ts';
import type { AskServer } from '../ask-server.ts';

/** What a row makes the updater do for this component; each step may be repeated. */
export type Step = (appliance: Appliance, state: StateBody, memory: RunMemory, askServer: AskServer) => Promise<Found>;

/**
 * What distinguishes the updates of one component, row by row. What all updates share (resolve, fetch, write, and
 * whatever is done to a stopped agent) is not a driver's task; what the record keeps about a component is in
 * machine/component-rules.ts.
 */
export interface ComponentDriver {
  /** The slot that the incoming version is written to. @throws ReleaseError `incompatible`: there is none here */
  freeSlot(appliance: Appliance, state: StateBody): SlotName;
  /** `sealed`: seals the slot, proves it, and waits for whatever its switch has to wait for. */
  readonly ready: Step;
  /** `armed`: the record names the version on trial; launch counts the tries. */
  readonly start: Step;
  /** `trial` */
  readonly judge: Step;
  /** `committing`: marks the slot, and removes what only this transaction needed. */
  readonly commit: Step;
  /** `reverting` */
  readonly revert: Step;
  /** Once the record is at rest again after a revert. */
  serveAgain(appliance: Appliance, memory: RunMemory): Promise<Recovered | null>;
  /** Must this run end, so that launch starts the version on trial in its place? */
  makesWay(appliance: Appliance, state: StateBody): boolean;
}
