import { join } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { type Manifest, manifestShape } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import type { Request } from '../../protocol/request.ts';
import { manifestName } from '../../protocol/seal.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { readJson } from '../effects/durable.ts';
import { trialLength } from '../identity/settings.ts';
import type { MachineEvent } from '../machine/event.ts';
import type { NoReturnCode } from '../verdict/rescue.ts';
import { ageWord } from '../words/age-word.ts';
import { choiceTexts } from '../words/texts.ts';
import { wayBack } from './acceptance.ts';
import { type FormerState, isFormerStateSound } from './former-state.ts';

/** The answer to a person who wants to go back, and what the machine has to do for it. */

export type RollbackRequest = Extract<Request, { kind: 'rollback' }>;
export type RollbackCode = NoReturnCode | 'data-readable' | 'data-age' | 'data-damaged' | 'version-changed';

type Answer =
  | {
      readonly outcome: 'begun';
      readonly text: string;
      readonly code?: undefined;
      readonly event: MachineEvent;
    }
  | { readonly outcome: 'refused'; readonly text: string; readonly code: RollbackCode; readonly event: null };

function refused(code: RollbackCode, text: string): Answer {
  return { outcome: 'refused', code, text, event: null };
}

/** The part of what they were shown that the person named. */
type Named = { readonly [Name in 'data' | 'manifest']?: RollbackRequest[Name] | undefined };

export function answerToRollback(appliance: Appliance, state: StateBody, asked: Named): Answer {
  const { committed, previous } = state.app;
  const [here, there] = [committed.version, previous?.version ?? ''];
  // The person decided about the version that they were shown.
  if (asked.manifest !== undefined && previous !== null && asked.manifest !== previous.manifest) {
    const text = choiceTexts.anotherThanShown(there);
    return refused('version-changed', text);
  }
  const way = wayBack(appliance, state);
  const named = asked.data;
  if (way.kind === 'open') {
    if (named !== undefined) return refused('data-readable', choiceTexts.nameNoAge(there));
    const event = { kind: 'return', trial: trialOf(appliance, way.previous.slot) } as const;
    return { outcome: 'begun', text: choiceTexts.withDataKept(here, there), event };
  }
  const { data } = way;
  if (named === undefined || data === null || previous === null) return refused(way.code, way.text);
  if (!isSame(named, data)) return refused('data-age', choiceTexts.wrongAge(way.text));
  // Checked before the agent is stopped: a rotten copy would be put back only to be removed again.
  if (!isFormerStateSound(appliance, state)) return refused('data-damaged', choiceTexts.dataDamaged(there, here));
  const text = choiceTexts.withEarlierData(here, there, ageWord(data.ageH));
  return { outcome: 'begun', text, event: { kind: 'return', trial: trialOf(appliance, previous.slot), data } };
}

function isSame(named: NonNullable<RollbackRequest['data']>, { tx, ageH }: FormerState): boolean {
  return named.tx === tx && named.ageH === ageH;
}

/** A return is tried like any other switch, for as long as that version's manifest asks. */
export function trialOf(appliance: Appliance, slot: SlotName): Transaction['trial'] {
  const { healthyMs, deadlineMs, tries } = trialLengthOf(appliance, slot);
  return { healthyMs, deadlineMs, tries };
}

export function trialLengthOf(appliance: Appliance, slot: SlotName): ReturnType<typeof trialLength> {
  const path = join(appliance.layout.slot('app', slot), manifestName);
  return trialLength(manifestAt(appliance, path)?.trial, appliance.settings);
}

function manifestAt({ files }: Appliance, path: string): Manifest | undefined {
  try {
    return manifestShape.safeParse(readJson(files, path, manifestLimits.manifestBytesMax)).data;
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return undefined;
    throw error;
  }
}
