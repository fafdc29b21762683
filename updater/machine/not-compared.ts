import type { StateBody } from '../../protocol/state-record.ts';
import { machineTexts } from '../words/texts.ts';
import { rulesOf } from './component-rules.ts';

/** Without an answer from before the switch there is no comparison; only absolute rules count. */
export function withoutBaseline({ transaction }: StateBody): string {
  if (transaction === null || !rulesOf(transaction.component).stopsAgent || transaction.baseline !== null) return '';
  return machineTexts.noBaseline;
}

/** What cannot be compared does not count in a verdict; the person is told so. */
export function withoutServer({ transaction }: StateBody): string {
  if (transaction?.serverCompared !== false) return '';
  return machineTexts.serverNotCompared;
}
