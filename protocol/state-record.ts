import { z } from 'zod';
import { componentShape, slotShape } from './component.ts';
import { digestShape } from './digest.ts';
import { checkStatuses } from './health.ts';
import { versionShape } from './version.ts';

/**
 * Schema of {@link stateBodyShape}. A newer schema only adds fields and rows; an older updater copies, at every level,
 * what it does not know, so that the newer one finds it again. Even a record in an unknown row has the prefix of
 * {@link statePrefixShape}.
 */
export const stateSchema = 1;
export const quarantineMax = 16;

/** Keeps unknown fields. */
const open = z.looseObject;

/** The fields that this version knows: code must not name others. */
type Known<T> = T extends readonly (infer Entry)[]
  ? Known<Entry>[]
  : T extends object
    ? { [Key in keyof T as string extends Key ? (unknown extends T[Key] ? never : Key) : Key]: Known<T[Key]> }
    : T;

/** The rows of the state table (ARCHITECTURE.md, "The life of an update"). */
export const rows = [
  'idle',
  'resolved',
  'fetching',
  'writing',
  'sealed',
  'quiesced',
  'snapped',
  'returning',
  'armed',
  'trial',
  'committing',
  'reverting',
  'closing',
  'safe',
] as const;
export type Row = (typeof rows)[number];

const installedShape = open({
  slot: slotShape,
  version: versionShape,
  manifest: digestShape,
  securityVersion: z.int().min(0),
});
/** One version in one slot. */
export type Installed = Known<z.infer<typeof installedShape>>;

/** One component's slots in use: the others may be written. */
const componentStateShape = open({ committed: installedShape, previous: installedShape.nullable() });

export const quarantinedShape = z.object({
  manifest: digestShape,
  version: versionShape,
  /** Absent: the agent. */
  component: componentShape.optional(),
  reason: z.enum(['trial', 'by hand']),
  /** The named reason of the verdict. */
  verdict: z.string().max(32),
});
export type Quarantined = Known<z.infer<typeof quarantinedShape>>;

/** Why a trial failed. */
export const failureReasons = [
  'crash-loop',
  'flap',
  'wrong-version',
  'stalled',
  'no-answer',
  'state-not-migrated',
  'regression',
  'server-not-reached',
  'not-seen-by-server',
  'deadline',
  'inconclusive',
  'by-hand',
  'slot-damaged',
] as const;
export type FailureReason = (typeof failureReasons)[number];

/** Characters of the text about safe mode in the record. */
export const safeTextMax = 200;

/** Characters of a verdict's text in the record. */
export const failureTextMax = 300;

const transactionShape = open({
  tx: z.int().min(1),
  /**
   * Random, chosen when the transaction begins: a restored disk repeats a number, but never an id. Absent: an updater
   * wrote it that had none.
   */
  id: z.string().max(64).optional(),
  /** `return` goes back to a slot that was proven before; the others write a slot. */
  kind: z.enum(['update', 'install', 'return']),
  component: componentShape,
  version: versionShape,
  manifest: digestShape,
  securityVersion: z.int().min(0),
  /** Where the bundle comes from: a base path on the server, a file that somebody has, or one in work/. */
  source: open({ kind: z.enum(['server', 'file', 'slot']), path: z.string().max(400) }),
  /** The slot that is written; chosen when `writing` begins. */
  slot: slotShape.nullable(),
  /** Does the switch wait for window and inhibitor? Not for a file or a person; and never for a dead agent. */
  waits: z.boolean(),
  trial: open({
    healthyMs: z.int(),
    deadlineMs: z.int(),
    tries: z.int().min(1),
    /**
     * How long it may report that its state is not migrated, beside the deadline; absent: the deadline includes that
     * time.
     */
    migrationMs: z.int().min(0).optional(),
  }),
  /** The agent's last health before the switch; null: it did not answer, so only the absolute conditions count. */
  baseline: z.record(z.string().max(40), z.enum(checkStatuses)).nullable(),
  /** Could the agent reach the server before the switch? */
  baselineServer: z.enum(checkStatuses),
  /** Healthy time so far and trial time used, monotonic, kept across restarts of the judge. */
  healthyMs: z.int().min(0),
  usedMs: z.int().min(0),
  /** The part of the used time in which the state was not migrated; absent: none. */
  migratingMs: z.int().min(0).optional(),
  /** The start that the healthy time belongs to; absent: none yet. */
  start: z.string().max(64).optional(),
  /** False: the version on trial does not know the updater's network path, so the server's word does not count. */
  serverCompared: z.boolean().optional(),
  /** Facts for the report: durations of fetch, standstill and going back; 0 until known. */
  fetchedMs: z.int().min(0),
  downMs: z.int().min(0),
  failure: open({ reason: z.enum(failureReasons), text: z.string().max(failureTextMax) }).nullable(),
  /** For a return that no person asked for: what made the updater go back. */
  cause: z.enum(['crash-loop']).optional(),
  /** For a return to older data: the transaction whose snapshot is put back, and the age that a person named for it. */
  data: open({ tx: z.int().min(1), ageH: z.int().min(0) }).optional(),
});
export type Transaction = Known<z.infer<typeof transactionShape>>;

/** What every reader, launch included, understands of every schema for ever. */
export const statePrefixShape = open({
  row: z.string().max(20),
  /** The committed slot of each component. */
  committed: open({ app: slotShape, updater: slotShape }),
  /** The slot on trial, from `armed` to the end of `committing`. */
  trial: open({ tx: z.int(), component: componentShape, slot: slotShape, tries: z.int() }).nullable(),
  floor: open({ app: z.int(), updater: z.int() }),
});

const safeShape = open({
  /**
   * `slot-damaged`: the committed slot is not whole; `state-lost`: a rollback could not restore its state;
   * `records-newer`: only reported, never written: a newer updater wrote the records.
   */
  reason: z.enum(['slot-damaged', 'state-lost', 'records-newer']),
  /** The transaction whose snapshot is damaged; 0: none. */
  tx: z.int().min(0),
  text: z.string().max(safeTextMax),
});
export type Safe = Known<z.infer<typeof safeShape>>;

export const stateBodyShape = statePrefixShape.extend({
  row: z.enum(rows),
  app: componentStateShape,
  updater: componentStateShape,
  lastTx: z.int().min(0),
  quarantine: z.array(quarantinedShape.loose()).max(quarantineMax),
  /** How long the previous version has been kept since the commit, in milliseconds of running, monotonic. */
  windowUsedMs: z.int().min(0).default(0),
  /** Why there is no proven version to run; kept through the transactions that are to end it. null: there is one. */
  safe: safeShape.nullable().default(null),
  /** The committed manifest that the updater left, or tried to leave, without a person: it does so once for each. */
  rescued: digestShape.optional(),
  transaction: transactionShape.nullable(),
});
export type StateBody = Known<z.infer<typeof stateBodyShape>>;

/** Schema of the body of launch.0 and launch.1, written by launch only. */
export const launchSchema = 1;

/** Starts that launch counted, for each component's current transaction. Newest last; launch limits their number. */
export const launchBodyShape = open({
  app: open({ tx: z.int(), slot: z.string(), starts: z.array(open({ boot: z.string(), n: z.int() })) }).nullable(),
  updater: open({ tx: z.int(), slot: z.string(), starts: z.array(open({ boot: z.string(), n: z.int() })) }).nullable(),
});
