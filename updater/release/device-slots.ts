import type { Layout } from '../../protocol/layout.ts';
import type { Settings } from '../identity/settings.ts';

/** The device of each slot of the operating system, by the slot's directory below slots/os/, which holds its seal. */
export type DeviceSlots = ReadonlyMap<string, string>;

export const noDevices: DeviceSlots = new Map();

export function deviceSlotsOf(layout: Layout, os: Settings['os']): DeviceSlots {
  if (os === null) return noDevices;
  return new Map(Object.entries(os.slots).map(([slot, device]) => [layout.slot('os', slot), device]));
}
