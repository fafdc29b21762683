import { z } from 'zod';
import { launchBodyShape } from '../../protocol/state-record.ts';
import { bootsMax, countStarts } from '../launch/table.ts';
import { knownRecord } from '../record/record-store.ts';
import type { Appliance } from './appliance.ts';

export interface Tries {
  readonly tries: number;
  readonly outOfBoots: boolean;
  /** Is any start of this transaction counted? */
  readonly isCounted: boolean;
}

/** One component at a time: a fault in the other's count must not lose this one. Created once, not at each look. */
const countShapes = {
  app: z.object({ app: launchBodyShape.shape.app }).transform(({ app }) => app),
  updater: z.object({ updater: launchBodyShape.shape.updater }).transform(({ updater }) => updater),
} as const;

/** What launch counted for a transaction. */
export function triesOf(
  { files, layout, clock }: Pick<Appliance, 'files' | 'layout' | 'clock'>,
  component: 'app' | 'updater',
  tx: number,
): Tries {
  const body = knownRecord(files, layout.launchRecords)?.body;
  const parsed = countShapes[component].safeParse(body);
  const count = parsed.success ? parsed.data : null;
  const starts = count?.tx === tx ? count.starts : [];
  const { tries, boots } = countStarts(starts, clock.bootId());
  return { tries, outOfBoots: boots >= bootsMax, isCounted: starts.length > 0 };
}
