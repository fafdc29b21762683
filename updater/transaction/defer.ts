import { join } from 'node:path';
import { z } from 'zod';
import type { HealthAnswer } from '../../protocol/health.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { hasRequest } from '../appliance/request-name.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { transactionOf } from '../machine/transaction.ts';
import { forgetLook, lastLook, noteLook } from '../outcome/deferral-note.ts';
import {
  cleanWords,
  type Deferred,
  deferralSentence,
  deferredSoFar,
  isWorthWaitingFor,
  workSeen,
} from '../verdict/deferral.ts';
import { startName } from '../verdict/trial.ts';
import { transactionTexts } from '../words/texts.ts';

/**
 * What a switch waits for: the window, then an agent that asks not to be stopped. The switch does not wait for a dead
 * agent, nor when a person asked for it.
 */

const noteBytesMax = 4_000;
/** In updater/, across restarts: how long each release was put off. */
const deferredShape = z.object({ releases: z.array(z.object({ manifest: z.string(), usedMs: z.number().min(0) })) });
const workShape = z.object({ boot: z.string(), start: z.string(), progress: z.number(), sinceMs: z.number() });

/** `wait`: not now; `left`: a person wants something else; `go`: nothing delays the switch. */
export type Hold = 'wait' | 'left' | 'go';

/**
 * May the agent be stopped now?
 * @param answer from the start that launch made
 */
export function holdOf(appliance: Appliance, state: StateBody, answer: HealthAnswer, openForS: number): Hold {
  const isClosed = openForS <= 0;
  if (!isClosed && answer.inhibit === null) {
    forgetLook(appliance);
    return 'go';
  }
  if (!isHealthy(appliance, state, answer)) {
    appliance.log(transactionTexts.doesNotWait(state.app.committed.version));
    forgetLook(appliance);
    return 'go';
  }
  if (hasRequest(appliance)) {
    appliance.log(transactionTexts.givenUpForPerson(transactionOf(state).version));
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
  return isHeld ? 'wait' : 'go';
}

function isHealthy(appliance: Appliance, state: StateBody, answer: HealthAnswer): boolean {
  const { files, layout, clock, settings } = appliance;
  const path = join(layout.run, 'work-seen.json');
  const now = { boot: clock.bootId(), atMs: clock.monoMs() };
  const before = readKept(files, path, noteBytesMax, workShape);
  const work = workSeen(before, startName(answer.nonce), answer.progress, now);
  if (work !== before) replaceJson(files, path, work, 0o600);
  const { version } = state.app.committed;
  return isWorthWaitingFor(answer, { version, work, now, stallMs: settings.stallMs });
}

/** @returns false: it has been put off for as long as allowed, or the time cannot be counted */
function defer(appliance: Appliance, state: StateBody, said: string): boolean {
  const { files, layout, clock, settings, log } = appliance;
  const { manifest, version } = transactionOf(state);
  const before = lastLook(appliance);
  const now = { boot: clock.bootId(), atMs: clock.monoMs() };
  const { usedMs, releases } = deferredSoFar(knownDeferrals(appliance), manifest, before, now);
  const leftMs = Math.max(0, settings.deferMaxMs - usedMs);
  // Without a count the delay would have no end.
  const counted = whereThereIsRoom(() => replaceJson(files, layout.deferred, { releases }, 0o600));
  const words = cleanWords(said);
  if (leftMs === 0 || !counted) {
    log(
      transactionTexts.noLongerWaits(
        version,
        counted ? transactionTexts.putOffLongEnough : transactionTexts.noSpaceToCount,
      ),
    );
    return false;
  }
  if (before?.manifest !== manifest || before.words !== words) {
    log(transactionTexts.waits(version, deferralSentence(state.app.committed.version, words, leftMs)));
  }
  noteLook(appliance, { ...now, manifest, words, usedMs, leftMs });
  return true;
}

function knownDeferrals({ files, layout }: Appliance): readonly Deferred[] {
  const path = layout.deferred;
  return readKept(files, path, noteBytesMax, deferredShape)?.releases ?? [];
}
