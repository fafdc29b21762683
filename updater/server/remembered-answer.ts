import { z } from 'zod';
import { nothingUnheard, unheardShape } from '../../protocol/authority.ts';
import { asTravelled, checkInAnswerShape, desiredShape, trialPaceS } from '../../protocol/check-in.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Clock } from '../effects/clock.ts';
import { replaceJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';

/** What the last check-in said, kept in run/ (a reboot forgets it): a 204 refers to it, and it sets the pace. */
const rememberedShape = z.object({
  etag: z.string().nullable(),
  desired: desiredShape.nullable(),
  nextInS: z.number(),
  /** What the server last asked for: nextInS is smaller while a failure is tried again. */
  paceS: z.number().default(60),
  /**
   * The `issuedAt` of the newest verified answer, in seconds, but at most a step above what was known before it: it
   * raises trusted time when metadata is checked.
   */
  issuedAtS: z.int().min(0).default(0),
  /**
   * The known time at the first answer of a boot: from there, answers move it with the passing time and by one step.
   */
  timeBase: z.object({ boot: z.string(), monoMs: z.number(), s: z.int() }).nullable().default(null),
  boot: z.string(),
  /** Monotonic time of the last try, and of the last verified answer. */
  triedMs: z.number(),
  answered: z.object({ boot: z.string(), monoMs: z.number(), wallS: z.int() }).nullable(),
  failures: z.int(),
  /** Check-ins that were signed for the server's authority and not answered. */
  unheard: unheardShape.default(nothingUnheard),
  /** Two machines use this identity, and how the server tells them apart; it says so until that is solved. */
  clone: checkInAnswerShape.shape.clone.default([]),
  /** The keys in question; empty: an older server, which does not say. */
  cloneKeys: checkInAnswerShape.shape.cloneKeys.default([]),
  /** The mark of the last answer that was accepted; null: none in this boot, or an older updater has asked since. */
  last: z.string().nullable().default(null),
  error: z.object({ code: z.string(), message: z.string(), next: z.string() }).nullable(),
});
export type Remembered = z.infer<typeof rememberedShape>;

const nothingRemembered: Remembered = {
  etag: null,
  desired: null,
  nextInS: 0,
  paceS: 60,
  issuedAtS: 0,
  timeBase: null,
  boot: '',
  triedMs: 0,
  answered: null,
  failures: 0,
  unheard: nothingUnheard,
  clone: [],
  cloneKeys: [],
  last: null,
  error: null,
};

const rememberedBytesMax = 64 * 1024;

export function loadRemembered(files: Files, layout: Layout): Remembered {
  return readKept(files, `${layout.run}/last-answer.json`, rememberedBytesMax, rememberedShape) ?? nothingRemembered;
}

export function saveRemembered(
  { files, layout }: { files: Files; layout: Layout },
  remembered: Remembered,
): Remembered {
  const desired = remembered.desired === null ? null : asTravelled(remembered.desired);
  const path = `${layout.run}/last-answer.json`;
  try {
    replaceJson(files, path, { ...remembered, desired }, 0o600);
  } catch (error) {
    // An older answer must not be named as the last one: the server would take this appliance for two.
    files.unlink(path);
    throw error;
  }
  return remembered;
}

/**
 * Is the next check-in due, by monotonic time of this boot?
 * @param onTrial a version is on trial: the pace is at most {@link trialPaceS}, but a back-off may be longer
 */
export function isDue(remembered: Remembered, clock: Clock, onTrial = false): boolean {
  const mostS = onTrial && remembered.failures === 0 ? trialPaceS : Number.POSITIVE_INFINITY;
  const nextInS = Math.min(remembered.nextInS, mostS);
  return remembered.boot !== clock.bootId() || clock.monoMs() - remembered.triedMs >= nextInS * 1000;
}
