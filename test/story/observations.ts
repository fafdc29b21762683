import { z } from 'zod';
import { statusShape, transactionLineShape } from '../../protocol/status.ts';
import { applianceViewShape, orderViewShape, rolloutViewShape } from '../../server-lite/operator/shapes.ts';

/** An acknowledged record as the server keeps it. */
const recordSeenShape = z.object({ name: z.string(), sha256: z.string() });
export type RecordSeen = z.infer<typeof recordSeenShape>;

/** What the agent says it still has: a count, and a digest over all names and digests, read from its database. */
const readingsSeenShape = z.object({
  upTo: z.number(),
  count: z.number(),
  sha256: z.string(),
  first: z.number().nullable(),
});
export type ReadingsSeen = z.infer<typeof readingsSeenShape>;

const fleetShape = z.object({
  appliances: z.array(applianceViewShape),
  /** Agents in the process table: appliance -> pid and user. */
  agents: z.record(z.string(), z.object({ pid: z.number(), uid: z.number() }).nullable()),
  isRoot: z.boolean(),
});

const crashShape = z.object({
  order: orderViewShape,
  crashes: z.array(z.object({ role: z.string(), code: z.number().nullable(), output: z.string() })),
  pids: z.array(z.number()),
  page: z.object({ status: z.number(), html: z.string(), why: z.string() }),
});

const fixedShape = z.object({
  appliance: applianceViewShape,
  status: statusShape,
  order: orderViewShape,
  records: z.array(recordSeenShape),
  readings: readingsSeenShape,
});

const rolledBackShape = z.object({
  appliance: applianceViewShape,
  status: statusShape,
  history: z.array(transactionLineShape),
  recordsBefore: z.array(recordSeenShape),
  readingsBefore: readingsSeenShape,
  recordsAfter: z.array(recordSeenShape),
  readingsAfter: readingsSeenShape,
  rollout: rolloutViewShape,
  why: z.object({ commandLine: z.string(), page: z.string(), dashboard: z.string() }),
});

const newestShape = z.object({
  first: applianceViewShape,
  third: applianceViewShape,
  thirdHistory: z.array(transactionLineShape),
});

const controlShape = z.object({
  appliance: applianceViewShape,
  order: orderViewShape,
  updaterProcesses: z.array(z.number()),
  dashboard: z.string(),
});

/**
 * Everything that was seen from outside (server API, pages over HTTP, command line, process table), scene by scene.
 * Checks are functions of this and of nothing else, so that a planted lie in it shows which check would catch it.
 */
export const observationsShape = z.object({
  fleet: fleetShape.optional(),
  crash: crashShape.optional(),
  fixed: fixedShape.optional(),
  rolledBack: rolledBackShape.optional(),
  newest: newestShape.optional(),
  control: controlShape.optional(),
});
export type Observations = z.infer<typeof observationsShape>;
