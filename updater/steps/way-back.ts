import type { Installed, StateBody } from '../../protocol/state-record.ts';
import { ageWord } from '../age-word.ts';
import type { Appliance } from '../appliance.ts';
import { readSeal } from '../release/verify-slot.ts';
import { type FormerState, formerStateOf, readsSchema } from './former-state.ts';
import { trialsKeptDays } from './kept-trials.ts';

export type NoReturnCode = 'no-previous' | 'revoked' | 'floor' | 'state-not-readable';

/** Whether a person can go back to the previous version now. */
export type WayBack =
  | { readonly kind: 'open'; readonly previous: Installed }
  /** `data`: of before the switch, which a person can go back to all the same, by naming its age. */
  | { readonly kind: 'refused'; readonly code: NoReturnCode; readonly text: string; readonly data: FormerState | null };

/**
 * @param isRevoked do the targets that are trusted now not list the previous version?
 * What a trial reverts to is never asked this: the committed version stays launchable, whatever was revoked since (I7).
 */
export function wayBackOf(appliance: Appliance, state: StateBody, isRevoked: boolean): WayBack {
  const refused = (code: NoReturnCode, text: string, data: FormerState | null = null): WayBack => {
    return { kind: 'refused', code, text, data };
  };
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
    const data = formerStateOf(appliance, state);
    return refused('state-not-readable', notReadableText(previous.version, committed.version, data), data);
  }
  return { kind: 'open', previous };
}

/** What a person is told first: what going back would cost, and what they must repeat to have it all the same. */
function notReadableText(previous: string, committed: string, data: FormerState | null): string {
  const start = `${previous} can not read the data that ${committed} writes`;
  if (data === null)
    return `${start}, and its own data of before is not there, so going back would lose all. Nothing was changed. Install a newer release instead.`;
  const age = ageWord(data.ageH);
  return (
    `${start}. Its own data of before is still there, and is ${age} of running old: whoever goes back to that no longer sees ` +
    `what was stored since. Today's data is put aside then, and kept for ${trialsKeptDays} days of running. ` +
    `Keys, orders and reports stay as they are. Install a newer release instead, or name the age, ${age}, to go back.`
  );
}

/** Can the version in `slot` read what the version in `current` wrote? */
function canRead({ files, layout }: Appliance, slot: string, current: string): boolean {
  const [reader, writer] = [slot, current].map((name) => readSeal(files, layout.slot('app', name)));
  if (!reader || !writer) return false;
  return readsSchema(reader, writer.state.writes);
}
