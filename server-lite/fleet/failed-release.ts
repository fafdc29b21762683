import { cut } from '../../protocol/text.ts';
import { times } from '../rules/words.ts';
import type { FailedRelease } from '../store/news.ts';
import type { ReleaseRow } from '../store/releases.ts';
import { applianceTexts } from '../texts.ts';

/** "Tried, never succeeded" becomes an alert after this many tries of one release … */
const triesToAlert = 3;
/** … or after the first, if the appliance will never take it. */
const finalReasons: ReadonlySet<string> = new Set(['floor', 'incompatible']);
const textMax = 240;

/** One sentence for the operator; null as long as it is just a failed try. */
function alertText({ component, version, times: tries, reason, text }: FailedRelease): string | null {
  if (tries < triesToAlert && !finalReasons.has(reason)) return null;
  return cut(applianceTexts.neverSucceeded(component, version, times(tries), reason, text), textMax);
}

/** The newest release of an appliance that is an alert (S31). A release that was withdrawn since is none. */
export function alertOf(
  failed: readonly FailedRelease[],
  releaseOf: (component: string, version: string) => ReleaseRow | undefined,
): string | null {
  for (const one of failed) {
    if (releaseOf(one.component, one.version)?.withdrawn_at) continue;
    const text = alertText(one);
    if (text !== null) return text;
  }
  return null;
}
