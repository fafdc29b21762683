import { z } from 'zod';
import { wantedReleaseShape } from './check-in.ts';
import { componentShape, slotShape } from './component.ts';
import { digestShape } from './digest.ts';
import { evidenceShape } from './evidence.ts';
import { exitShape } from './exit.ts';
import { checkStatusShape, checksShape } from './health.ts';
import { bootIdShape } from './ids.ts';
import { sourceKinds, sourceOrigins } from './sources.ts';
import { quarantinedShape } from './state-record.ts';
import { wireEnum } from './wire-enum.ts';

/** The verdict in one word, for the colour of a page; the sentence is what counts. */
const verdictWords = ['ok', 'updating', 'trial', 'attention', 'blocked', 'safe', 'unknown'] as const;

export const transactionLineShape = z.object({
  tx: z.int(),
  component: componentShape,
  from: z.string().max(64),
  to: z.string().max(64),
  outcome: wireEnum(['committed', 'rolled-back', 'refused', 'running', 'written']),
  reason: z.string().max(64).nullable(),
  text: z.string().max(600),
  /** Durations in milliseconds; null where it does not apply. */
  fetchedMs: z.int().nullable(),
  downMs: z.int().nullable(),
  revertedMs: z.int().nullable(),
  /** After a rollback: each state file that was put back, as it was digested before any agent started. */
  restored: z
    .array(z.object({ name: z.string().max(40), snapshot: digestShape, restored: digestShape }))
    .max(8)
    .optional(),
  /** Wall clock of the appliance when it ended, for people only. */
  wallS: z.int(),
});
export type TransactionLine = z.infer<typeof transactionLineShape>;

/** Bundles on removable media that the appliance looks at, and tells of. */
export const stickLinesMax = 16;
const stickLineShape = z.object({
  path: z.string().max(400),
  /** null: it is not a release that can be trusted. */
  version: z.string().max(64).nullable(),
  /** What became of it, or why it was not taken. */
  text: z.string().max(600),
  code: z.string().max(64).optional(),
});
export type StickLine = z.infer<typeof stickLineShape>;

/** run/status.json: written by the updater, all that the field page and the status command read. */
export const statusShape = z.object({
  v: z.literal(1),
  appliance: z.string().nullable(),
  name: z.string(),
  server: z.string().nullable(),
  verdict: z.object({ word: wireEnum(verdictWords), sentence: z.string().max(600) }),
  /** The same sentence that the server shows: why this appliance is on what it is on. */
  why: z.string().max(600),
  row: z.string().max(20),
  slots: z.array(
    z.object({
      component: componentShape,
      slot: slotShape,
      role: wireEnum(['committed', 'previous', 'incoming', 'on trial', 'factory', 'empty', 'damaged']),
      version: z.string().nullable(),
      manifest: digestShape.nullable(),
    }),
  ),
  agent: z.object({
    alive: z.boolean(),
    pid: z.int().nullable(),
    version: z.string().nullable(),
    checks: checksShape,
    server: checkStatusShape,
    /** Crashes that were seen since this version was started on purpose. */
    crashes: z.int().min(0),
    lastExit: exitShape.nullable(),
    lastOutput: z.string().max(4_000),
  }),
  updater: z.object({ version: z.string(), isolation: wireEnum(['users', 'none', 'systemd']) }),
  checkIn: z.object({
    /** Monotonic time and boot of the last answer that was verified; null: none in this boot's memory. */
    last: z.object({ boot: z.string(), monoMs: z.number(), wallS: z.int() }).nullable(),
    /** What went wrong with the last try; null: it worked. */
    error: z.object({ code: z.string(), message: z.string(), next: z.string() }).nullable(),
    nextInS: z.number().nullable(),
  }),
  desired: z.object({ release: wantedReleaseShape.nullable(), reasons: z.array(z.string()) }).nullable(),
  quarantine: z.array(quarantinedShape),
  floor: z.object({ app: z.int(), updater: z.int() }),
  trial: z.object({ healthyMs: z.int(), needMs: z.int(), leftMs: z.int() }).nullable(),
  /** The switch to a release is put off because the agent asks for it; absent: it is not. */
  deferral: z
    .object({
      /** In the agent's own words; null: it has none. */
      words: z.string().max(200).nullable(),
      usedMs: z.int().min(0),
      leftMs: z.int().min(0),
    })
    .optional(),
  /** Where the appliance's own settings shorten what a release asks for. */
  settings: z.object({ trialHealthyMs: z.int(), trialDeadlineMs: z.int(), shortened: z.boolean() }),
  transactions: z.array(transactionLineShape).max(20),
  /** The answer to the last request of a person. */
  lastRequest: z
    .object({
      id: z.string(),
      outcome: z.string(),
      text: z.string(),
      /** Why it was refused, as a word for programs. */
      code: z.string().max(64).optional(),
    })
    .nullable(),
  /** The version that a person can go back to, and why that is refused now; absent where nobody looked. */
  back: z
    .object({
      version: z.string().max(64).nullable(),
      refused: z.object({ code: z.string().max(64), text: z.string().max(600) }).nullable(),
      /** The data of before that a person can go back to all the same, by naming its age in hours of running. */
      data: z.object({ tx: z.int().min(1), ageH: z.int().min(0) }).optional(),
    })
    .optional(),
  /** Where releases may come from, and the way out; absent where nobody has set any. */
  sources: z
    .object({
      origin: wireEnum(sourceOrigins),
      releases: z.array(z.object({ name: z.string(), kind: wireEnum(sourceKinds), url: z.string() })),
      /** Without what somebody may have put before the @. */
      proxy: z.string().nullable(),
      pinned: z.boolean(),
      rateBytesPerS: z.number().nullable(),
      /** False: the ones before are kept until these answer. */
      answered: z.boolean(),
    })
    .optional(),
  /** What was seen of the version that was rolled back last; absent where there is none, or nothing is kept of it. */
  evidence: z.object({ tx: z.int(), version: z.string().max(64), seen: evidenceShape }).optional(),
  /** Bundles on removable media. */
  sticks: z.array(stickLineShape).max(stickLinesMax).optional(),
  wallS: z.int(),
  /** When this was written; without it, a reader has only the file's own time to tell how old it is. */
  at: z.object({ boot: bootIdShape, monoMs: z.number().min(0) }).optional(),
});
export type Status = z.infer<typeof statusShape>;
export type StatusInput = z.input<typeof statusShape>;
