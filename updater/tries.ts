import { z } from 'zod';
import { launchBodyShape } from '../protocol/state-record.ts';
import type { Appliance } from './appliance.ts';
import { bootsMax, countStarts } from './launch-table.ts';
import { knownRecord } from './record-store.ts';

export interface Tries {
  readonly tries: number;
  readonly outOfBoots: boolean;
  /** Is any start of this transaction counted? */
  readonly isCounted: boolean;
}

/** What launch counted of a transaction. */
export function triesOf(
  { files, layout, clock }: Pick<Appliance, 'files' | 'layout' | 'clock'>,
  component: 'app' | 'updater',
  tx: number,
): Tries {
  const body = knownRecord(files, layout.launchRecords)?.body;
  const parsed = z.object({ [component]: launchBodyShape.shape[component] }).safeParse(body);
  const count = parsed.success ? parsed.data[component] : null;
  const starts = count?.tx === tx ? count.starts : [];
  const { tries, boots } = countStarts(starts, clock.bootId());
  return { tries, outOfBoots: boots >= bootsMax, isCounted: starts.length > 0 };
}
