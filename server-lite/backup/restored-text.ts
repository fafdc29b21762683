import { backupTexts } from '../texts.ts';
import type { Restored } from './restore.ts';

/** Names that a sentence lists; the commands in it list them all. */
const namedMax = 5;

/** What was restored, what the backup brings back although it was changed since, and what to do about each. */
export function restoredText(data: string, { madeAtMs, again, keptAs, missingBundles }: Restored): string {
  const made = new Date(madeAtMs).toISOString();
  return [
    backupTexts.restored(data, made),
    backupTexts.startTheServer,
    ...(keptAs === null ? [] : [backupTexts.keptAs(keptAs)]),
    ...(missingBundles.length === 0 ? [] : [backupTexts.publishAgain(missingBundles.join(', '))]),
    backupTexts.lookAtEach(made),
    backupTexts.tokenOfThen(data),
    ...listed(backupTexts.rollouts, again.rollouts, backupTexts.rolloutsNext),
    ...listed(backupTexts.claims, again.claims, backupTexts.claimsNext),
    ...listed(backupTexts.appliances, again.appliances, backupTexts.appliancesNext),
    backupTexts.ordersOfThen,
  ].join('\n');
}

function listed(what: string, names: readonly string[], rest: string): string[] {
  if (names.length === 0) return [];
  const more = names.length > namedMax ? backupTexts.inAll(names.length) : '';
  return [backupTexts.listed(what, `${names.slice(0, namedMax).join(', ')}${more}`, rest)];
}
