import type { SlotName } from '../../../protocol/component.ts';
import { stateBytes, stateBytesMaxDefault } from '../../agent-data/snapshot.ts';
import type { Appliance } from '../../appliance/appliance.ts';
import { wayBack } from '../../choice/acceptance.ts';
import { answerToRollback, type RollbackCode, trialLengthOf } from '../../choice/going-back.ts';
import { next } from '../../machine/table.ts';
import { transactionOf } from '../../machine/transaction.ts';
import { readHistory } from '../../outcome/history.ts';
import { verifyInstalled } from '../../release/verify-slot.ts';
import { ReleaseError } from '../../trust/release-error.ts';
import { planTexts } from '../../words/texts.ts';
import { restOrWhy } from './look-ahead.ts';
import { noPlan, type Plan, type Reason } from './plan.ts';
import { planBackOf } from './plan-back.ts';

/**
 * What `rollback` would do now, found by the code that answers that request and the code that checks the slot before
 * the switch.
 */

const newer = planTexts.installNewer;
const nextSteps: Readonly<Record<RollbackCode, string>> = {
  'no-previous': newer,
  revoked: newer,
  floor: newer,
  'state-not-readable': planTexts.withNamedAge,
  'data-readable': planTexts.withoutAge,
  'data-age': planTexts.withAge,
  'data-damaged': newer,
  'version-changed': planTexts.lookAgain,
};

/** @param ageH age of the data that a person names; null: none is named */
export function lookBack(appliance: Appliance, ageH: number | null): Plan {
  const rest = restOrWhy(appliance);
  if (rest.kind === 'none') return rest.plan;
  const { state } = rest;
  const way = wayBack(appliance, state);
  const tx = way.kind === 'refused' ? (way.data?.tx ?? 0) : 0;
  const { event, text, code } = answerToRollback(appliance, state, ageH === null ? {} : { data: { tx, ageH } });
  if (event === null) {
    const isLost = code === 'state-not-readable' && tx === 0;
    return noPlan('refused', planTexts.backRefused, [{ code, sentence: text, next: isLost ? newer : nextSteps[code] }]);
  }
  if (event.kind !== 'return') throw new RangeError(`a rollback does not begin with ${event.kind}`);
  const { slot, manifest, version } = transactionOf(next(state, event));
  if (slot === null) throw new RangeError('a return without a slot');
  const damage = whyDamaged(appliance, slot, manifest, version);
  if (damage !== null) return noPlan('refused', planTexts.backRefused, [damage]);
  const { files, layout } = appliance;
  const bytes = stateBytes(files, layout, stateBytesMaxDefault, appliance.settings.agentUser);
  const found = { trial: trialLengthOf(appliance, slot), stateBytes: bytes, history: readHistory(files, layout) };
  return planBackOf(state, event, found, whyNoRoom(appliance, bytes));
}

/** The same check as in the row `sealed`. */
function whyDamaged({ files, layout }: Appliance, slot: SlotName, manifest: string, version: string): Reason | null {
  const proven = verifyInstalled(files, layout, 'app', slot, manifest);
  if (proven.sound) return null;
  const sentence = planTexts.slotNotAsSealed(slot, version, proven.reason, proven.path);
  return { code: 'slot-damaged', sentence, next: newer };
}

function whyNoRoom({ files, layout }: Appliance, bytes: number): Reason[] {
  const free = files.freeBytes(layout.updater);
  if (free >= bytes) return [];
  const sentence = planTexts.noRoomForCopy(bytes, free);
  return [{ code: 'no-space', sentence, next: new ReleaseError('no-space', '').next }];
}
