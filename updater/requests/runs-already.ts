import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { rulesOf } from '../machine/component-rules.ts';
import type { Choice } from '../machine/event.ts';
import { verifyInstalled } from '../release/verify-slot.ts';
import { asVerdict } from '../watch/committed-slot.ts';

/**
 * Does the bundle's release already run, with every byte in place? Installing it again would only lose the version to
 * go back to. In safe mode, or when its slot is damaged, installing it is a repair.
 */
export function runsAlready(
  { files, layout }: Pick<Appliance, 'files' | 'layout'>,
  state: StateBody,
  { component, manifest }: Choice,
): boolean {
  const installed = rulesOf(component).installed(state);
  if (installed === null || state.row === 'safe' || state.safe !== null || manifest !== installed.manifest)
    return false;
  return asVerdict(() => verifyInstalled(files, layout, component, installed.slot, manifest)).sound;
}
