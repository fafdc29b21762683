import type { Core } from '../core.ts';
import { clip, times } from './words.ts';

/** "Tried, never succeeded" is an alert after so many tries of one release … */
const triesToAlert = 3;
/** … and after the first one where the appliance will never take it. */
const finalReasons: ReadonlySet<string> = new Set(['floor', 'incompatible']);
const textMax = 240;

/** What an appliance tried and never finished, since its last commit: a release of its updater's events. */
export interface FailedRelease {
  readonly component: string;
  readonly version: string;
  readonly times: number;
  /** Named reason and text of the last try. */
  readonly reason: string;
  readonly text: string;
}

/** One sentence for whoever must act; null while it is no more than a failed try. */
function alertText({ component, version, times: tries, reason, text }: FailedRelease): string | null {
  if (tries < triesToAlert && !finalReasons.has(reason)) return null;
  return clip(`${component} ${version} was tried ${times(tries)} and never succeeded (${reason}): ${text}`, textMax);
}

/** The newest release of an appliance that is an alert (S31). One that was withdrawn since is nobody's business any more. */
export function alertOf(core: Core, appliance: string): string | null {
  for (const failed of core.events.failedReleases(appliance)) {
    if (core.releases.find(failed.component, failed.version)?.withdrawn_at) continue;
    const text = alertText(failed);
    if (text !== null) return text;
  }
  return null;
}
