import type { Installed, StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { trialsKeptDays } from '../outcome/kept-trials.ts';
import { readSeal } from '../release/verify-slot.ts';
import type { NoReturnCode } from '../verdict/rescue.ts';
import { ageWord } from '../words/age-word.ts';
import { choiceTexts } from '../words/texts.ts';
import { type FormerState, formerStateOf, readsSchema } from './former-state.ts';

/** Whether a person can go back to the previous version now. */
export type WayBack =
  | { readonly kind: 'open'; readonly previous: Installed }
  /** `data`: the data from before the switch, to which a person can still go back by naming its age. */
  | { readonly kind: 'refused'; readonly code: NoReturnCode; readonly text: string; readonly data: FormerState | null };

/**
 * @param isRevoked do the targets that are trusted now omit the previous version? A trial's reversal never depends on
 * this: the committed version stays launchable, whatever was revoked since (I7).
 */
export function wayBackOf(appliance: Appliance, state: StateBody, isRevoked: boolean): WayBack {
  const refused = (code: NoReturnCode, text: string, data: FormerState | null = null): WayBack => {
    return { kind: 'refused', code, text, data };
  };
  const { previous, committed } = state.app;
  if (previous === null) {
    const text = choiceTexts.noPrevious;
    return refused('no-previous', text);
  }
  if (isRevoked) {
    const text = choiceTexts.revoked(previous.version, committed.version);
    return refused('revoked', text);
  }
  if (previous.securityVersion < state.floor.app) {
    const text = choiceTexts.belowFloor(previous.version, previous.securityVersion, state.floor.app, committed.version);
    return refused('floor', text);
  }
  if (!canRead(appliance, previous.slot, committed.slot)) {
    const data = formerStateOf(appliance, state);
    return refused('state-not-readable', notReadableText(previous.version, committed.version, data), data);
  }
  return { kind: 'open', previous };
}

/** Tells the person first what going back would cost, and what they must repeat to go back anyway. */
function notReadableText(previous: string, committed: string, data: FormerState | null): string {
  const start = choiceTexts.cannotReadData(previous, committed);
  if (data === null) return choiceTexts.noEarlierData(start);
  const age = ageWord(data.ageH);
  return choiceTexts.earlierData(start, age, trialsKeptDays);
}

/** Can the version in `slot` read what the version in `current` wrote? */
function canRead({ files, layout }: Appliance, slot: string, current: string): boolean {
  const [reader, writer] = [slot, current].map((name) => readSeal(files, layout.slot('app', name)));
  if (!reader || !writer) return false;
  return readsSchema(reader, writer.state.writes);
}
