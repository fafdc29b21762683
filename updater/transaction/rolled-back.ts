import type { Evidence } from '../../protocol/evidence.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { noteRefused } from '../choice/refused.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { Found } from '../outcome/outcome.ts';
import { nameOf } from '../words/component-words.ts';
import { reasonTexts, transactionTexts } from '../words/texts.ts';

/** The end of a trial for which nothing had to be stopped and nothing has to be put back. */
export function rolledBack(appliance: Appliance, state: StateBody, evidence?: Evidence): Found {
  const transaction = transactionOf(state);
  const { failure, component, version, manifest } = transaction;
  if (failure === null) throw new RangeError('reverting without a verdict');
  const reason = reasonTexts[failure.reason];
  const text = transactionTexts.rolledBack(nameOf(component, version), reason, failure.reason, failure.text);
  appliance.log(text);
  if (failure.reason === 'inconclusive') noteRefused(appliance, manifest, text);
  return {
    kind: 'reverted',
    end: {
      outcome: 'rolled-back',
      reason: failure.reason,
      text,
      downMs: null,
      revertedMs: null,
      ...(evidence === undefined ? {} : { evidence }),
    },
  };
}
