import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { readUpdaterEnds, updaterFailuresMax } from '../launch/end.ts';
import { watchTexts } from '../words/texts.ts';

/**
 * Why an updater other than the committed one runs: launch gave the committed one up until the next boot.
 * @returns null: the committed one runs, or another one runs for another reason
 */
export function givenUp({ files, layout, manifest, version }: Appliance, { updater }: StateBody): string | null {
  const { committed } = updater;
  const ends = readUpdaterEnds(files, layout);
  if (manifest === committed.manifest || ends?.slot !== committed.slot || ends.failures < updaterFailuresMax)
    return null;
  return watchTexts.endedBadly(committed.version, ends.failures, version);
}

/** Reports this to the server once per boot. */
export function reportGivenUp(appliance: Appliance, state: StateBody): void {
  const text = givenUp(appliance, state);
  if (text === null) return;
  const name = `given up ${state.updater.committed.manifest} ${appliance.clock.bootId()}`;
  appliance.events.add(name, { kind: 'note', text });
}
