import type { Digest } from '../../protocol/digest.ts';
import { type Quarantined, quarantineMax } from '../../protocol/state-record.ts';

export function withoutQuarantined(list: readonly Quarantined[], manifest: Digest): Quarantined[] {
  return list.filter((entry) => entry.manifest !== manifest);
}

/** The newest entry comes last, and each release occurs once; beyond the limit, the oldest is removed. */
export function keepQuarantined(list: readonly Quarantined[], entry: Quarantined): Quarantined[] {
  return [...withoutQuarantined(list, entry.manifest), entry].slice(-quarantineMax);
}
