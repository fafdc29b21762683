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

/** `unused`: it holds a version that nothing goes back to. */
const slotRoles = ['committed', 'previous', 'incoming', 'on trial', 'factory', 'unused', 'empty', 'damaged'] as const;

export const transactionLineShape = z.object({
  tx: z.int(),
  component: componentShape,
  from: z.string().max(64),
  to: z.string().max(64),
  outcome: wireEnum(['committed', 'rolled-back', 'refused', 'running', 'written']),
  reason: z.string().max(64).nullable(),
  text: z.string().max(600),
  /** Durations in milliseconds; null if not applicable. */
  fetchedMs: z.int().nullable(),
  downMs: z.int().nullable(),
  revertedMs: z.int().nullable(),
  /** After a rollback: the digest of each restored state file, taken before any agent started. */
  restored: z
    .array(z.object({ name: z.string().max(40), snapshot: digestShape, restored: digestShape }))
    .max(8)
    .optional(),
  /** Wall clock of the appliance at the end, for people only. */
  wallS: z.int(),
});
export type TransactionLine = z.infer<typeof transactionLineShape>;

/** Bundles on removable media that the appliance checks and reports. */
export const stickLinesMax = 16;
const stickLineShape = z.object({
  path: z.string().max(400),
  /** null: it is not a trusted release. */
  version: z.string().max(64).nullable(),
  /** The outcome, or why it was not taken. */
  text: z.string().max(600),
  code: z.string().max(64).optional(),
});
export type StickLine = z.infer<typeof stickLineShape>;

/** Sentences of the agent's that the status tells. */
export const toldSentencesMax = 12;

const answerShape = z.object({
  id: z.string(),
  outcome: z.string(),
  text: z.string(),
  /** Why it was refused, as a word for programs. */
  code: z.string().max(64).optional(),
  /** The result is not known yet: another answer to the same request will replace this one. Absent: it is final. */
  open: z.boolean().optional(),
  /** The transaction that it began. */
  tx: z.int().optional(),
});

/** run/status.json: written by the updater, all that the field page and the status command read. */
export const statusShape = z.object({
  v: z.literal(1),
  appliance: z.string().nullable(),
  name: z.string(),
  server: z.string().nullable(),
  verdict: z.object({ word: wireEnum(verdictWords), sentence: z.string().max(600) }),
  /** The sentence that the server shows, too: why this appliance runs what it runs. */
  why: z.string().max(600),
  row: z.string().max(20),
  slots: z.array(
    z.object({
      component: componentShape,
      slot: slotShape,
      role: wireEnum(slotRoles),
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
    /** Crashes seen since this version was started on purpose. */
    crashes: z.int().min(0),
    lastExit: exitShape.nullable(),
    lastOutput: z.string().max(4_000),
    /** A sentence for each duty in trouble, and for each setting that is not in force. Absent: none is known. */
    told: z.array(z.string().max(600)).max(toldSentencesMax).optional(),
  }),
  updater: z.object({ version: z.string(), isolation: wireEnum(['users', 'none', 'systemd']) }),
  checkIn: z.object({
    /** Monotonic time and boot of the last verified answer; null: none that is remembered in this boot. */
    last: z.object({ boot: z.string(), monoMs: z.number(), wallS: z.int() }).nullable(),
    /** What went wrong at the last try; null: it worked. */
    error: z.object({ code: z.string(), message: z.string(), next: z.string() }).nullable(),
    nextInS: z.number().nullable(),
  }),
  desired: z.object({ release: wantedReleaseShape.nullable(), reasons: z.array(z.string()) }).nullable(),
  quarantine: z.array(quarantinedShape),
  floor: z.object({ app: z.int(), updater: z.int() }),
  trial: z
    .object({
      healthyMs: z.int(),
      needMs: z.int(),
      leftMs: z.int(),
      /**
       * It was healthy for long enough and only waits for the server: the number of its check-ins that the server saw.
       */
      waits: z.object({ seen: z.int().min(0), of: z.int().min(1) }).optional(),
    })
    .nullable(),
  /** The switch to a release is put off because the agent asks for that; absent: it is not. */
  deferral: z
    .object({
      /** In the agent's own words; null: it gave none. */
      words: z.string().max(200).nullable(),
      usedMs: z.int().min(0),
      leftMs: z.int().min(0),
    })
    .optional(),
  /** Whether the appliance's own settings shorten what a release asks for. */
  settings: z.object({ trialHealthyMs: z.int(), trialDeadlineMs: z.int(), shortened: z.boolean() }),
  transactions: z.array(transactionLineShape).max(20),
  /** The answer to a person's last request. */
  lastRequest: answerShape.nullable(),
  /** The answer to root's last request in root's own directory. Absent: the updater does not look there. */
  lastOwnRequest: answerShape.nullable().optional(),
  /** The version that a person can go back to, and why that is refused now; absent if not determined. */
  back: z
    .object({
      version: z.string().max(64).nullable(),
      /** What a request to go back names, so that it brings this version or none. */
      manifest: digestShape.nullable().optional(),
      refused: z.object({ code: z.string().max(64), text: z.string().max(600) }).nullable(),
      /** The older data that a person can still go back to, by naming its age in hours of running. */
      data: z.object({ tx: z.int().min(1), ageH: z.int().min(0) }).optional(),
    })
    .optional(),
  /** Where releases may come from, and the network path; absent when none were set. */
  sources: z
    .object({
      origin: wireEnum(sourceOrigins),
      releases: z.array(z.object({ name: z.string(), kind: wireEnum(sourceKinds), url: z.string() })),
      /** Without any name and password before the @. */
      proxy: z.string().nullable(),
      pinned: z.boolean(),
      rateBytesPerS: z.number().nullable(),
      /** False: no answer over these has been verified yet, and the path that was verified last is tried, too. */
      answered: z.boolean(),
    })
    .optional(),
  /** Names what `sources` shows, even that it shows nothing: a request to change them repeats it. */
  sourcesShown: digestShape.optional(),
  /** What was seen of the version that was rolled back last; absent if there is none or nothing is kept. */
  evidence: z.object({ tx: z.int(), version: z.string().max(64), seen: evidenceShape }).optional(),
  /** Bundles on removable media. */
  sticks: z.array(stickLineShape).max(stickLinesMax).optional(),
  /**
   * Why the last run of the updater was stopped; the other fields are then from the previous run. Absent: it was not
   * stopped.
   */
  stopped: z.object({ code: z.string().max(64), text: z.string().max(600), next: z.string().max(300) }).optional(),
  /** What needs a person's attention, besides what `why` says. */
  notices: z.array(z.string().max(600)).max(8).optional(),
  wallS: z.int(),
  /** When this was written; without it, a reader has only the file's own time to judge its age. */
  at: z.object({ boot: bootIdShape, monoMs: z.number().min(0) }).optional(),
});
export type Status = z.infer<typeof statusShape>;
export type StatusInput = z.input<typeof statusShape>;
