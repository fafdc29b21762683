import { join } from 'node:path';
import { committedName } from '../../protocol/seal.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { putAsideDirectory } from '../agent-data/snapshot.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { forgetRefusalOf } from '../choice/refused.ts';
import { replacePreparedJson } from '../effects/durable.ts';
import { rulesOf } from '../machine/component-rules.ts';
import { withoutBaseline, withoutServer } from '../machine/not-compared.ts';
import { next } from '../machine/table.ts';
import { transactionOf } from '../machine/transaction.ts';
import { forgetDamage } from '../outcome/damage-notes.ts';
import { trialsKeptDays, trialsKeptMax } from '../outcome/kept-trials.ts';
import type { Found } from '../outcome/outcome.ts';
import { readRecord } from '../record/record-store.ts';
import { ageWord } from '../words/age-word.ts';
import { nameOf } from '../words/component-words.ts';
import { transactionTexts } from '../words/texts.ts';

/** What every commit of a slot leaves behind: its mark and its report. */

/** More than `.committed` can need: it holds no more than the record does. */
export const markBytes = 8 * 1024;

/** Writes `.committed` into the slot; the record follows. */
export function commitSlot(appliance: Appliance, state: StateBody): Found {
  const { files, layout } = appliance;
  const transaction = transactionOf(state);
  if (transaction.slot === null) throw new RangeError('no slot to commit');
  const after = next(state, { kind: 'committed' });
  const directory = layout.slot(transaction.component, transaction.slot);
  const { floor, quarantine } = after;
  const { tx, version, manifest } = transaction;
  const seq = readRecord(files, layout.stateRecords)?.seq ?? 0;
  // Also for factory: after somebody went back to it, it must be found again when the records are lost.
  replacePreparedJson(files, join(directory, committedName), { seq, tx, version, manifest, floor, quarantine }, 0o644);
  forgetRefusalOf(appliance, manifest);
  forgetDamage(appliance);
  const { from, text, here } = describe(appliance, state);
  appliance.log(text);
  return {
    kind: 'committed',
    end: {
      outcome: 'committed',
      reason: transaction.cause ?? null,
      text: `${from} → ${transaction.version}: ${text}`,
      ...here,
      downMs: transaction.downMs,
      revertedMs: null,
    },
  };
}

function describe(appliance: Appliance, state: StateBody): { from: string; text: string; here?: { here: string } } {
  const { kind, component, version, cause, data } = transactionOf(state);
  const from = rulesOf(component).installed(state)?.version ?? '';
  const without = `${withoutBaseline(state)}${withoutServer(state)}`;
  const after = (text: string) => (without === '' ? text : `${text}.${without}`);
  if (kind !== 'return') return { from, text: after(transactionTexts.passedTrial(nameOf(component, version))) };
  if (cause !== undefined) return { from, text: transactionTexts.wentBackByItself(from, version) };
  if (data === undefined) return { from, text: after(transactionTexts.wentBack(version)) };
  const text = transactionTexts.wentBackWithData(version, ageWord(data.ageH), without);
  const place = putAsideDirectory(appliance.layout, data.tx);
  const here = transactionTexts.dataKept(from, place, trialsKeptDays, trialsKeptMax);
  return { from, text, here: { here } };
}
