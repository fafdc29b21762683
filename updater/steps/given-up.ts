import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readUpdaterEnds, updaterFailuresMax } from '../launch-end.ts';

/**
 * Why another updater runs than the one that is committed: launch gave that one up, until the next boot.
 * @returns null: the committed one runs, or another one for another reason
 */
export function givenUp({ files, layout, manifest, version }: Appliance, { updater }: StateBody): string | null {
  const { committed } = updater;
  const ends = readUpdaterEnds(files, layout);
  if (manifest === committed.manifest || ends?.slot !== committed.slot || ends.failures < updaterFailuresMax)
    return null;
  return `updater ${committed.version} ended badly ${ends.failures} times in a row; ${version} runs in its place`;
}

/** The server hears of it once a boot. */
export function reportGivenUp(appliance: Appliance, state: StateBody): void {
  const text = givenUp(appliance, state);
  if (text === null) return;
  const name = `given up ${state.updater.committed.manifest} ${appliance.clock.bootId()}`;
  appliance.events.add(name, { kind: 'note', text });
}
