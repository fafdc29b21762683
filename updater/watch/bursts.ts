import { z } from 'zod';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { crashLoop, recentBursts } from '../verdict/rescue.ts';

/** Bursts of crashes of the committed version, and its hangs: observed over runs of the updater, within one boot. */

/** In run/, like the counts of process control: each boot starts again. */
const shape = z.object({
  boot: z.string(),
  manifest: z.string(),
  burstsMs: z.array(z.number()),
  /** Since when there has been a loop; null: there is none. */
  sinceMs: z.number().nullable(),
  /** Why the version stays; null: nothing was decided, or it no longer matters. */
  stays: z.string().nullable(),
  /** The newest of them was a hang. */
  hung: z.boolean().default(false),
});
type Bursts = z.infer<typeof shape>;
const bytesMax = 4_000;

function pathOf({ layout }: Appliance): string {
  return `${layout.run}/crash-loop.json`;
}

/** For the version that is committed now, in this boot. */
export function knownBursts(appliance: Appliance, { app }: StateBody): Bursts {
  const { manifest } = app.committed;
  const boot = appliance.clock.bootId();
  const found = readKept(appliance.files, pathOf(appliance), bytesMax, shape);
  if (found?.boot === boot && found.manifest === manifest) return found;
  return { boot, manifest, burstsMs: [], sinceMs: null, stays: null, hung: false };
}

export function keepBursts(appliance: Appliance, bursts: Bursts): void {
  replaceJson(appliance.files, pathOf(appliance), bursts, 0o600);
}

/**
 * Called before the agent is started again: if process control gave up, that is one more burst.
 * @param hung the updater had to end the agent, which counts as a burst, too
 */
export function isCrashLooping(
  appliance: Appliance,
  state: StateBody,
  { hung, facts }: { readonly hung: boolean; readonly facts: AgentFacts | null },
): boolean {
  if (state.row !== 'idle' || (!hung && facts?.state !== 'failed')) return false;
  const nowMs = appliance.clock.monoMs();
  const before = knownBursts(appliance, state);
  const burstsMs = recentBursts([...before.burstsMs, nowMs], nowMs);
  const isLoop = burstsMs.length >= crashLoop.bursts;
  const sinceMs = isLoop ? (before.sinceMs ?? nowMs) : null;
  keepBursts(appliance, { ...before, burstsMs, sinceMs, stays: isLoop ? before.stays : null, hung });
  return isLoop;
}

/** The sentence for `why`; null: there is no crash loop, or nothing was decided about it. */
export function staysOf(appliance: Appliance, state: StateBody): string | null {
  return state.row === 'idle' ? knownBursts(appliance, state).stays : null;
}
