import { join } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { type Manifest, manifestShape } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import type { Request } from '../../protocol/request.ts';
import { manifestName } from '../../protocol/seal.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { ageWord } from '../age-word.ts';
import type { Appliance } from '../appliance.ts';
import { readJson } from '../effects/durable.ts';
import type { MachineEvent } from '../machine-event.ts';
import { trialLength } from '../settings.ts';
import { wayBack } from './acceptance.ts';
import { type FormerState, isFormerStateSound } from './former-state.ts';
import type { NoReturnCode } from './way-back.ts';

/** What a person who wants to go back is answered, and what the machine has to do for it. */

export type RollbackRequest = Extract<Request, { kind: 'rollback' }>;
export type RollbackCode = NoReturnCode | 'data-readable' | 'data-age' | 'data-damaged';

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

export function answerToRollback(appliance: Appliance, state: StateBody, named: RollbackRequest['data']): Answer {
  const way = wayBack(appliance, state);
  const { committed, previous } = state.app;
  const [here, there] = [committed.version, previous?.version ?? ''];
  if (way.kind === 'open') {
    if (named !== undefined)
      return refused('data-readable', `${there} can read today's data: go back without naming an age, and it is kept.`);
    const event = { kind: 'return', trial: trialOf(appliance, way.previous.slot) } as const;
    return { outcome: 'begun', text: `going back from ${here} to ${there}; the data is kept`, event };
  }
  const { data } = way;
  if (named === undefined || data === null || previous === null) return refused(way.code, way.text);
  if (!isSame(named, data))
    return refused('data-age', `That is not the age of the data: nothing was changed. ${way.text}`);
  // Asked before the agent is stopped: a copy that has rotted would only be put back to be taken away again.
  if (!isFormerStateSound(appliance, state))
    return refused(
      'data-damaged',
      `The data that ${there} left is damaged, so nobody can go back to it. ${here} runs on.`,
    );
  const text = `going back from ${here} to ${there}, with its data of ${ageWord(data.ageH)} ago; today's data is put aside`;
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
