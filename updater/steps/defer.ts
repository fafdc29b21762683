import { join } from 'node:path';
import { z } from 'zod';
import type { HealthAnswer } from '../../protocol/health.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import {
  cleanWords,
  type Deferred,
  deferralSentence,
  deferredSoFar,
  isWorthWaitingFor,
  workSeen,
} from '../deferral.ts';
import { readJson, replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { transactionOf } from '../transitions.ts';
import { startName } from '../trial.ts';
import { forgetLook, lastLook, noteLook } from './deferral-note.ts';
import { publishStatus } from './publish-status.ts';
import { hasRequest } from './request-name.ts';

/** What a switch waits for: the window, then an agent that asks not to be stopped. Neither a dead one nor a person waits. */

const noteBytesMax = 4_000;
/** In updater/, over every restart: how long each release was put off. */
const deferredShape = z.object({ releases: z.array(z.object({ manifest: z.string(), usedMs: z.number().min(0) })) });
const workShape = z.object({ boot: z.string(), start: z.string(), progress: z.number(), sinceMs: z.number() });

/** `wait`: not now; `left`: a person wants something else; `go`: nothing holds the switch. */
export type Hold = 'wait' | 'left' | 'go';

/**
 * May the agent be stopped now?
 * @param answer of the very start that launch made
 */
export async function holdOf(
  appliance: Appliance,
  state: StateBody,
  answer: HealthAnswer,
  openForS: number,
): Promise<Hold> {
  const isClosed = openForS <= 0;
  if (!isClosed && answer.inhibit === null) {
    forgetLook(appliance);
    return 'go';
  }
  if (!isHealthy(appliance, state, answer)) {
    appliance.log(`${state.app.committed.version} answers and is not healthy: the switch does not wait`);
    forgetLook(appliance);
    return 'go';
  }
  if (hasRequest(appliance)) {
    appliance.log(`${transactionOf(state).version} waits, and is left for what a person asks`);
    forgetLook(appliance);
    return 'left';
  }
  if (isClosed) {
    // Time in which the window is closed anyway is not the agent's.
    forgetLook(appliance);
    return 'wait';
  }
  const isHeld = defer(appliance, state, answer.inhibit ?? '');
  if (!isHeld) forgetLook(appliance);
  await publishStatus(appliance, state);
  return isHeld ? 'wait' : 'go';
}

function isHealthy(appliance: Appliance, state: StateBody, answer: HealthAnswer): boolean {
  const { files, layout, clock, settings } = appliance;
  const path = join(layout.run, 'work-seen.json');
  const now = { boot: clock.bootId(), atMs: clock.monoMs() };
  const before = workShape.safeParse(readJson(files, path, noteBytesMax)).data ?? null;
  const work = workSeen(before, startName(answer.nonce), answer.progress, now);
  if (work !== before) replaceJson(files, path, work, 0o600);
  const { version } = state.app.committed;
  return isWorthWaitingFor(answer, { version, work, now, stallMs: settings.stallMs });
}

/** @returns false: it has been put off for as long as it may be, or that can not be counted */
function defer(appliance: Appliance, state: StateBody, said: string): boolean {
  const { files, layout, clock, settings, log } = appliance;
  const { manifest, version } = transactionOf(state);
  const before = lastLook(appliance);
  const now = { boot: clock.bootId(), atMs: clock.monoMs() };
  const { usedMs, releases } = deferredSoFar(knownDeferrals(appliance), manifest, before, now);
  const leftMs = Math.max(0, settings.deferMaxMs - usedMs);
  // What could not be counted would have no end.
  const counted = whereThereIsRoom(() => replaceJson(files, layout.deferred, { releases }, 0o600));
  const words = cleanWords(said);
  if (leftMs === 0 || !counted) {
    log(
      `${version} does not wait any more: ${counted ? 'it was put off for long enough' : 'there is no space to count'}`,
    );
    return false;
  }
  if (before?.manifest !== manifest || before.words !== words) {
    log(`${version} waits: ${deferralSentence(state.app.committed.version, words, leftMs)}`);
  }
  noteLook(appliance, { ...now, manifest, words, usedMs, leftMs });
  return true;
}

function knownDeferrals({ files, layout }: Appliance): readonly Deferred[] {
  const path = layout.deferred;
  return deferredShape.safeParse(readJson(files, path, noteBytesMax)).data?.releases ?? [];
}
