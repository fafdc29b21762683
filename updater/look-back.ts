import type { SlotName } from '../protocol/component.ts';
import type { Appliance } from './appliance.ts';
import { readHistory } from './history.ts';
import { restOrWhy } from './look-ahead.ts';
import { next } from './machine.ts';
import { noPlan, type Plan, type Reason } from './plan.ts';
import { planBackOf } from './plan-back.ts';
import { ReleaseError } from './release/release-error.ts';
import { verifyInstalled } from './release/verify-slot.ts';
import { wayBack } from './steps/acceptance.ts';
import { answerToRollback, type RollbackCode, trialLengthOf } from './steps/going-back.ts';
import { stateBytes, stateBytesMaxDefault } from './steps/snapshot.ts';
import { transactionOf } from './transitions.ts';

/** What `rollback` would do now, found out by what answers that request, and by what looks at the slot before the switch. */

const newer = 'Install a newer release: holdfast-updater install FILE';
const nextSteps: Readonly<Record<RollbackCode, string>> = {
  'no-previous': newer,
  revoked: newer,
  floor: newer,
  'state-not-readable': 'Plan it with the age that is named: holdfast-updater plan --rollback --data-age AGE',
  'data-readable': 'Plan it without --data-age.',
  'data-age': 'Plan it with the age that is named.',
  'data-damaged': newer,
};

/** @param ageH of the data that a person names; null: none is named */
export function lookBack(appliance: Appliance, ageH: number | null): Plan {
  const rest = restOrWhy(appliance);
  if (rest.kind === 'none') return rest.plan;
  const { state } = rest;
  const way = wayBack(appliance, state);
  const tx = way.kind === 'refused' ? (way.data?.tx ?? 0) : 0;
  const { event, text, code } = answerToRollback(appliance, state, ageH === null ? undefined : { tx, ageH });
  if (event === null) {
    const isLost = code === 'state-not-readable' && tx === 0;
    return noPlan('refused', 'Going back is refused.', [
      { code, sentence: text, next: isLost ? newer : nextSteps[code] },
    ]);
  }
  if (event.kind !== 'return') throw new RangeError(`a rollback does not begin with ${event.kind}`);
  const { slot, manifest, version } = transactionOf(next(state, event));
  if (slot === null) throw new RangeError('a return without a slot');
  const damage = whyDamaged(appliance, slot, manifest, version);
  if (damage !== null) return noPlan('refused', 'Going back is refused.', [damage]);
  const { files, layout } = appliance;
  const bytes = stateBytes(files, layout, stateBytesMaxDefault);
  const found = { trial: trialLengthOf(appliance, slot), stateBytes: bytes, history: readHistory(files, layout) };
  return planBackOf(state, event, found, whyNoRoom(appliance, bytes));
}

/** As the row `sealed` looks at it. */
function whyDamaged({ files, layout }: Appliance, slot: SlotName, manifest: string, version: string): Reason | null {
  const proven = verifyInstalled(files, layout, 'app', slot, manifest);
  if (proven.sound) return null;
  const sentence = `Slot ${slot} is not what was sealed of ${version}: ${proven.reason} at ${proven.path}.`;
  return { code: 'slot-damaged', sentence, next: newer };
}

function whyNoRoom({ files, layout }: Appliance, bytes: number): Reason[] {
  const free = files.freeBytes(layout.updater);
  if (free >= bytes) return [];
  const sentence = `The copy of today's state needs ${bytes} bytes, and ${free} are free: the agent is not stopped before.`;
  return [{ code: 'no-space', sentence, next: new ReleaseError('no-space', '').next }];
}
