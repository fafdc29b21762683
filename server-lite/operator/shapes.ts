import { z } from 'zod';
import { componentShape } from '../../protocol/component.ts';
import { nameShape, typedNameShape } from '../../protocol/names.ts';
import { rolloutStates } from '../rules/rollout-life.ts';
import { operatorTexts } from '../texts.ts';

/** What the operator API takes and answers: shared by the server, the dashboard and the command line. */

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
  /** The reasons of `decide`, as the check-in's answer carries them. */
  reasons: z.array(z.string()),
  offer: z.string().nullable(),
  /** Releases that an operator chose for it, as `app 1.0.52`. */
  assigned: z.array(z.string()),
  /** A release that it tried repeatedly and never finished. */
  alert: z.string().nullable(),
  /** What is wrong with its clocks; null: nothing that can be seen. */
  clock: z.string().nullable().default(null),
  online: z.boolean(),
  versions: versionsShape,
  /** What each program's last check-in named (S11: they can be compared). */
  reported: z.object({ agent: versionsShape, updater: versionsShape }),
  checkIns: z.object({ agent: lastShape, updater: lastShape }),
  /** From the last check-ins, if they are fresh; else unknown. */
  row: z.string().nullable(),
  agentAlive: z.boolean().nullable(),
  checks: z.record(z.string(), z.string()),
  /** Manifests. */
  quarantine: z.array(z.string()),
  /** The same, with the release of each; null: this server does not have that release. */
  quarantined: z.array(z.object({ manifest: z.string(), release: z.string().nullable() })).default([]),
  /** `version`: not necessarily the present one; null: unreadable. */
  lastCrash: z
    .object({
      atMs: z.number(),
      version: z.string().nullable().default(null),
      text: z.string(),
      output: z.string(),
    })
    .nullable(),
  /** What its updater saw of the version that it last rolled back. */
  failedTrial: z
    .object({ atMs: z.number(), version: z.string(), text: z.string(), lines: z.array(z.string()), output: z.string() })
    .nullable()
    .default(null),
  ackUpto: z.object({ agent: z.number(), updater: z.number() }),
});
export type ApplianceView = z.infer<typeof applianceViewShape>;

/** `already`: it was retired before. */
export const retiredShape = applianceViewShape.extend({ already: z.boolean().default(false) });

/** A time that a calendar has: anything else cannot be shown as one (ECMA-262, time values). */
const timeShape = z.number().min(0).max(8.64e15);

export const orderViewShape = z.object({
  id: z.string(),
  appliance: z.string(),
  name: z.string(),
  kind: z.string(),
  args: z.record(z.string(), z.string()),
  state: z.string(),
  /** The state as a sentence: `sent; the agent has crashed 4 times since`. */
  sentence: z.string(),
  createdAtMs: timeShape,
  ageS: z.number(),
  expiresAtMs: timeShape,
  sentAtMs: timeShape.nullable(),
  endedAtMs: timeShape.nullable(),
  deliveries: z.number(),
  crashes: z.number(),
  crashText: z.string(),
  error: z.string().nullable(),
  result: z.string().nullable(),
  fault: z.string().nullable(),
});
export type OrderView = z.infer<typeof orderViewShape>;

export const releaseViewShape = z.object({
  component: z.string(),
  version: z.string(),
  manifest: z.string(),
  bundleBytes: z.number(),
  bundleSha256: z.string(),
  publishedAtMs: timeShape,
  withdrawn: z.boolean(),
  /** On how many appliances it failed; a server of before did not say. */
  failedOn: z.number().default(0),
  /** Why it cannot be shown; null: it is shown. */
  trouble: z.string().nullable().default(null),
});
export type ReleaseView = z.infer<typeof releaseViewShape>;

export const rolloutViewShape = z.object({
  id: z.number(),
  component: componentShape,
  version: z.string(),
  manifest: z.string(),
  state: z.enum(rolloutStates),
  /** Why it is paused or has ended; empty while it runs. */
  reason: z.string(),
  /** `canary`, `everyone`, or `done` when it is finished; for an ended one, where it stood. */
  stage: z.enum(['canary', 'everyone', 'done']),
  sentence: z.string(),
  canaries: z.array(z.string()),
  /** Names, from the record: an appliance stays here whatever it runs later. */
  proven: z.array(z.string()),
  failed: z.array(z.object({ name: z.string(), why: z.string(), atMs: z.number() })).default([]),
  waiting: z.array(z.object({ name: z.string(), why: z.string() })),
  /** Every change of its state with its reason, oldest first; a second pause is one, too. */
  changes: z.array(z.object({ atMs: z.number(), state: z.enum(rolloutStates), reason: z.string() })).default([]),
  startedAtMs: z.number(),
  ageS: z.number(),
});
export type RolloutView = z.infer<typeof rolloutViewShape>;

/** The result of a change, and what appliances may still get of the same component. */
export const rolloutChangeShape = rolloutViewShape.extend({
  /** It was in that state before. */
  already: z.boolean().default(false),
  stands: z.array(rolloutViewShape.pick({ id: true, version: true, state: true })).default([]),
});

export const eventViewShape = z.object({
  /** Its place among all events: `before` of the list continues here. */
  serial: z.number().default(0),
  appliance: z.string(),
  role: z.string(),
  id: z.string(),
  n: z.number(),
  kind: z.string(),
  text: z.string(),
  receivedAtMs: timeShape,
  body: z.unknown(),
});
export type EventView = z.infer<typeof eventViewShape>;

export const recordViewShape = z.object({ n: z.number(), name: z.string(), sha256: z.string() });

/** The server's own state, for an operator. */
export const serverViewShape = z.object({
  epoch: z.string(),
  /** The time that the server uses. */
  nowMs: z.number(),
  /** `in order`, or why the machine's clock is not followed. */
  clock: z.object({ state: z.enum(['in order', 'ahead', 'behind']), machineMs: z.number().nullable() }),
  /** When metadata that is signed offline expires. */
  metadata: z.array(z.object({ role: z.string(), version: z.number(), endsMs: z.number() })),
  /** What needs a person, a sentence each, the gravest first. */
  notices: z.array(z.string()),
  unknownKeys: z.array(
    z.object({ keyId: z.string(), firstMs: z.number(), lastMs: z.number(), times: z.number(), address: z.string() }),
  ),
});
export type ServerView = z.infer<typeof serverViewShape>;
export const clockChangeShape = z.object({ done: z.string(), server: serverViewShape });
export const counterResetShape = z.object({ reset: z.number(), text: z.string() });

export const applianceListShape = z.object({ appliances: z.array(applianceViewShape) });
export const orderListShape = z.object({ orders: z.array(orderViewShape) });
export const releaseListShape = z.object({ releases: z.array(releaseViewShape) });
export const rolloutListShape = z.object({ rollouts: z.array(rolloutViewShape) });
export const publicationShape = z.object({
  outcome: z.enum(['published', 'restored', 'unchanged']),
  run: z.enum(['real', 'dry']),
  /** null: the upload was metadata alone. */
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
  /** An earlier unused code for the same name no longer works. */
  replaced: z.boolean().default(false),
});
/** A claim code that can still be used; the code itself is not kept. */
const openClaimShape = z.object({
  name: z.string(),
  site: z.string(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  /** By the server's clock, which decides. */
  ageMs: z.number(),
  validForMs: z.number(),
  /** Only for the known appliance of that name. */
  again: z.boolean(),
});
export type OpenClaimView = z.infer<typeof openClaimShape>;
export const openClaimListShape = z.object({ claims: z.array(openClaimShape) });

/** A day by default, a month at most: an order is for now. */
const orderValidS = { byDefault: 24 * 3_600, max: 30 * 24 * 3_600 };
/** Bounds the size of one check-in's answer. */
const orderArgsMax = 5;

export const newClaimShape = z.object({
  /** A new name; with `again`, an appliance as people type it: by name, by its name as a retired one, or by id. */
  name: typedNameShape,
  site: nameShape.optional(),
  /** The code is only for the named appliance. */
  again: z.boolean().default(false),
});
export const renameShape = z.object({ name: nameShape, site: nameShape.optional() });
export const newOrderShape = z.object({
  /** Name or id, in any form that people type. */
  appliance: typedNameShape,
  kind: z.string().max(40),
  args: z
    .record(z.string().max(64), z.string().max(1_000))
    .refine((args) => Object.keys(args).length <= orderArgsMax, operatorTexts.tooManyArguments(orderArgsMax))
    .default({}),
  validForS: z.int().min(1).max(orderValidS.max).default(orderValidS.byDefault),
});
export const newRolloutShape = z.object({
  component: componentShape.default('app'),
  version: z.string().max(64),
  canaries: z.array(typedNameShape).max(100).default([]),
});
export const assignmentShape = z.object({ component: componentShape.default('app'), version: z.string().max(64) });
export const unassignmentShape = assignmentShape.pick({ component: true });
export const pauseShape = z.object({ reason: z.string().trim().max(200).default('') });
