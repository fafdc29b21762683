import { z } from 'zod';
import { componentShape } from '../../protocol/component.ts';

/** What the operator API answers and takes: shared by the server, the dashboard and the command line. */

const lastShape = z.object({ atMs: z.number(), ageS: z.number() }).nullable();
const versionsShape = z.record(
  z.string(),
  z.object({ version: z.string(), slot: z.string(), manifest: z.string().optional() }),
);

export const applianceViewShape = z.object({
  id: z.string(),
  name: z.string(),
  site: z.string(),
  /** One word, and the sentence that belongs to it. */
  state: z.string(),
  sentence: z.string(),
  /** Why it runs what it runs: the updater's own words while it checks in, else the server's reasons. */
  why: z.string(),
  /** What `decide` says, as the check-in's answer carries it. */
  reasons: z.array(z.string()),
  offer: z.string().nullable(),
  /** Releases that an operator chose for it, as `app 1.0.52`. */
  assigned: z.array(z.string()),
  /** What it tried again and again and never finished. */
  alert: z.string().nullable(),
  /** What is wrong with its clocks; null: nothing that can be told. */
  clock: z.string().nullable().default(null),
  online: z.boolean(),
  versions: versionsShape,
  /** What each program's last check-in named (S11: they can be compared). */
  reported: z.object({ agent: versionsShape, updater: versionsShape }),
  checkIns: z.object({ agent: lastShape, updater: lastShape }),
  row: z.string().nullable(),
  agentAlive: z.boolean().nullable(),
  checks: z.record(z.string(), z.string()),
  quarantine: z.array(z.string()),
  lastCrash: z.object({ atMs: z.number(), text: z.string(), output: z.string() }).nullable(),
  /** What its updater saw of the version that it rolled back last. */
  failedTrial: z
    .object({ atMs: z.number(), version: z.string(), text: z.string(), lines: z.array(z.string()), output: z.string() })
    .nullable()
    .default(null),
  ackUpto: z.object({ agent: z.number(), updater: z.number() }),
});
export type ApplianceView = z.infer<typeof applianceViewShape>;

export const orderViewShape = z.object({
  id: z.string(),
  appliance: z.string(),
  name: z.string(),
  kind: z.string(),
  args: z.record(z.string(), z.string()),
  state: z.string(),
  /** The state as a sentence: `sent; the agent has crashed 4 times since`. */
  sentence: z.string(),
  createdAtMs: z.number(),
  ageS: z.number(),
  expiresAtMs: z.number(),
  sentAtMs: z.number().nullable(),
  endedAtMs: z.number().nullable(),
  deliveries: z.number(),
  crashes: z.number(),
  crashText: z.string(),
  error: z.string().nullable(),
  result: z.string().nullable(),
  fault: z.string().nullable(),
});
export type OrderView = z.infer<typeof orderViewShape>;

export const releaseViewShape = z.object({
  component: componentShape,
  version: z.string(),
  manifest: z.string(),
  bundleBytes: z.number(),
  bundleSha256: z.string(),
  publishedAtMs: z.number(),
  withdrawn: z.boolean(),
});
export type ReleaseView = z.infer<typeof releaseViewShape>;

export const rolloutViewShape = z.object({
  id: z.number(),
  component: componentShape,
  version: z.string(),
  manifest: z.string(),
  state: z.enum(['running', 'paused']),
  reason: z.string(),
  /** `canary`, `everyone`, or `done` when every appliance that is not off has proven it. */
  stage: z.enum(['canary', 'everyone', 'done']),
  sentence: z.string(),
  canaries: z.array(z.string()),
  proven: z.array(z.string()),
  waiting: z.array(z.object({ name: z.string(), why: z.string() })),
  startedAtMs: z.number(),
  ageS: z.number(),
});
export type RolloutView = z.infer<typeof rolloutViewShape>;

export const eventViewShape = z.object({
  appliance: z.string(),
  role: z.string(),
  id: z.string(),
  n: z.number(),
  kind: z.string(),
  text: z.string(),
  receivedAtMs: z.number(),
  body: z.unknown(),
});
export type EventView = z.infer<typeof eventViewShape>;

export const recordViewShape = z.object({ n: z.number(), name: z.string(), sha256: z.string() });

export const applianceListShape = z.object({ appliances: z.array(applianceViewShape) });
export const orderListShape = z.object({ orders: z.array(orderViewShape) });
export const releaseListShape = z.object({ releases: z.array(releaseViewShape) });
export const rolloutListShape = z.object({ rollouts: z.array(rolloutViewShape) });
export const publicationShape = z.object({
  outcome: z.enum(['published', 'unchanged']),
  run: z.enum(['real', 'dry']),
  /** null: metadata alone was brought. */
  release: releaseViewShape.nullable(),
  metadata: z.object({ root: z.number(), targets: z.number() }),
  withdrawn: z.array(z.string()),
});
export type PublicationView = z.infer<typeof publicationShape>;
/** `?run=dry`: verify everything, write nothing. */
export const publishQueryShape = z.object({ run: z.enum(['real', 'dry']).default('real') });
export const claimAnswerShape = z.object({
  claim: z.string(),
  name: z.string(),
  site: z.string(),
  expiresAtMs: z.number(),
});

/** A day by default, a month at the most: an order is for now. */
const orderValidS = { byDefault: 24 * 3_600, max: 30 * 24 * 3_600 };
/** Bounds what one check-in's answer may weigh. */
const orderArgsMax = 4;

const nameShape = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]*$/u, 'letters, digits, blanks, dots and dashes');

export const newClaimShape = z.object({ name: nameShape, site: nameShape });
export const newOrderShape = z.object({
  /** Name or id, in any form that people type. */
  appliance: z.string().max(80),
  kind: z.string().max(40),
  args: z
    .record(z.string().max(64), z.string().max(1_000))
    .refine((args) => Object.keys(args).length <= orderArgsMax, `at most ${orderArgsMax} arguments`)
    .default({}),
  validForS: z.int().min(1).max(orderValidS.max).default(orderValidS.byDefault),
});
export const newRolloutShape = z.object({
  component: componentShape.default('app'),
  version: z.string().max(64),
  canaries: z.array(z.string().max(80)).max(100).default([]),
});
export const assignmentShape = z.object({ component: componentShape.default('app'), version: z.string().max(64) });
export const unassignmentShape = assignmentShape.pick({ component: true });
export const pauseShape = z.object({ reason: z.string().trim().max(200).default('') });
