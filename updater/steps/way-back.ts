import type { Installed, StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readSeal } from '../release/verify-slot.ts';

export type NoReturnCode = 'no-previous' | 'revoked' | 'floor' | 'state-not-readable';

/** Whether a person can go back to the previous version now. */
export type WayBack =
  | { readonly kind: 'open'; readonly previous: Installed }
  | { readonly kind: 'refused'; readonly code: NoReturnCode; readonly text: string };

/**
 * @param isRevoked do the targets that are trusted now not list the previous version?
 * What a trial reverts to is never asked this: the committed version stays launchable, whatever was revoked since (I7).
 */
export function wayBackOf(appliance: Appliance, state: StateBody, isRevoked: boolean): WayBack {
  const refused = (code: NoReturnCode, text: string): WayBack => ({ kind: 'refused', code, text });
  const { previous, committed } = state.app;
  if (previous === null) {
    const text = 'There is no previous version to go back to. Install a bundle from a file instead.';
    return refused('no-previous', text);
  }
  if (isRevoked) {
    const text =
      `${previous.version} was revoked: it is not among the releases that are listed now, so nobody can go back to it. ` +
      `${committed.version} runs on. Install a release that is listed instead.`;
    return refused('revoked', text);
  }
  if (previous.securityVersion < state.floor.app) {
    const text =
      `${previous.version} has security version ${previous.securityVersion}, and the floor here is ${state.floor.app}. ` +
      `${committed.version} runs on. Install a newer release instead.`;
    return refused('floor', text);
  }
  if (!canRead(appliance, previous.slot, committed.slot)) {
    const text =
      `${previous.version} can not read the data that ${committed.version} writes, so going back would lose it. ` +
      'Nothing was changed. Install a newer release instead.';
    return refused('state-not-readable', text);
  }
  return { kind: 'open', previous };
}

/** Can the version in `slot` read what the version in `current` wrote? */
function canRead({ files, layout }: Appliance, slot: string, current: string): boolean {
  const [reader, writer] = [slot, current].map((name) => readSeal(files, layout.slot('app', name)));
  if (!reader || !writer) return false;
  const { min, max } = reader.state.reads;
  return writer.state.writes >= min && writer.state.writes <= max;
}
