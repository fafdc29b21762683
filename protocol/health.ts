import { z } from 'zod';
import { digestShape } from './digest.ts';
import { versionShape } from './version.ts';
import { wireEnum } from './wire-enum.ts';

/** A health answer is refused beyond this size and this time. */
export const healthBytesMax = 64 * 1024;
export const healthTimeoutMs = 2_000;

/** Characters of an agent's reason for not being stopped now. */
export const inhibitCharsMax = 200;

export const checkStatuses = ['ok', 'warn', 'fail', 'unknown'] as const;
export type CheckStatus = (typeof checkStatuses)[number];
export const checkStatusShape = wireEnum(checkStatuses);

/** check name -> status, at most 32 checks. */
export const checksShape = z
  .record(z.string().min(1).max(40), checkStatusShape)
  .refine((checks) => Object.keys(checks).length <= 32, 'at most 32 checks');

/** What launch leaves for the program that it starts: run/launched/app/start.json. */
export const startShape = z.object({
  /** 32 random bytes as hex; the health answer repeats it, so that no earlier process can answer for this start. */
  nonce: z.string().regex(/^[0-9a-f]{64}$/),
  slot: z.string(),
  manifest: digestShape,
  version: versionShape,
  /** Where the agent's state is: agent/, or agent-factory/ in safe mode. */
  stateDir: z.string(),
  /** The newest state schema that any version that could run here writes or reads; missing: launch could not tell. */
  stateSchemaMax: z.int().min(0).optional(),
  /** The transaction whose trial this start is; missing: none. */
  trialTx: z.int().min(0).optional(),
});
export type Start = z.infer<typeof startShape>;

/** Duties in one health answer: those in trouble first. */
export const dutyLinesMax = 64;
export const dutyTextMax = 300;
/** Sentences for people in one health answer. */
export const notesMax = 8;

/** What people see of a duty. */
export const dutyLineShape = z.object({
  name: z.string().max(40),
  /** `open`: it failed again and again, and is left alone until its next try. */
  state: wireEnum(['waiting', 'running', 'open']),
  /** Milliseconds until it is due, or tried again; null: not within a day. */
  nextInMs: z.number().min(0).nullable(),
  /** Due times that failed in a row. */
  failures: z.int().min(0),
  /** The end of its last run; null: none is known. */
  last: z
    .object({
      outcome: wireEnum(['done', 'failed']),
      /** null: before this boot. */
      agoMs: z.number().min(0).nullable(),
      tookMs: z.number().min(0),
      /** Its error, or the begin of its result as JSON. */
      text: z.string().max(dutyTextMax),
    })
    .nullable(),
});
export type DutyLine = z.input<typeof dutyLineShape>;

/** One JSON object, which the agent writes to each connection to agent.sock, then the end of the stream. */
export const healthAnswerShape = z.object({
  proto: z.int().min(1),
  nonce: z.string().max(64),
  version: versionShape,
  /** Rises with the agent's own work loop, never by answering. */
  progress: z.int().min(0),
  state: z.object({ schema: z.int().min(0), migrated: z.boolean() }),
  checks: checksShape,
  /** Can the agent itself reach the server? */
  server: checkStatusShape,
  /** Why the agent asks not to be stopped now; null when it may be stopped. */
  inhibit: z.string().max(inhibitCharsMax).nullable().default(null),
  /**
   * Names the entries of the network path that the agent tries; absent: it knows none, and asks the server directly.
   */
  networkPath: digestShape.optional(),
  /** For people: nothing is decided by it, so one of another shape is none. Missing: a version without duties. */
  duties: z.array(dutyLineShape).max(dutyLinesMax).optional().catch(undefined),
  /** What is wrong with its settings, in sentences; as for the duties, nothing is decided by it. */
  notes: z.array(z.string().max(dutyTextMax)).max(notesMax).optional().catch(undefined),
});
export type HealthAnswer = z.infer<typeof healthAnswerShape>;
/** The answer as the agent writes it. */
export type HealthAnswerInput = z.input<typeof healthAnswerShape>;
