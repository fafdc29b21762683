import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import type { Acceptance } from '../release/resolve-release.ts';

/** What this appliance takes now. */
export function acceptanceOf(appliance: Appliance, state: StateBody, byPerson: boolean): Acceptance {
  return {
    floor: state.floor,
    // A quarantined release is not taken by itself; a person who brings it knows what they do (I12).
    isQuarantined: (manifest) => !byPerson && state.quarantine.some((entry) => entry.manifest === manifest),
    updater: appliance.version,
    hardware: null,
  };
}
