import { z } from 'zod';
import { componentShape, components, slotShape } from './component.ts';
import { digestShape } from './digest.ts';
import { eventShape, eventsPerCheckInMax } from './event.ts';
import { checkStatusShape, checksShape } from './health.ts';
import { bootIdShape } from './ids.ts';
import { signedOrderShape } from './order.ts';
import { versionShape } from './version.ts';
import { wireEnum, wordOf } from './wire-enum.ts';

/** Where a server has the release repository, unless an answer says otherwise. */
export const releasesPath = '/releases';

export const checkInPath = '/v1/checkin';
export const checkInBytesMax = 16 * 1024;
/** An unsigned word may delay an appliance by this much at the most. */
export const delayMaxS = 24 * 60 * 60;
/** Counters are reserved durably in blocks of this many. */
export const counterBlock = 1_000;

const releaseNameShape = z.object({ component: componentShape, version: versionShape, manifest: digestShape });
/** A release of a component that this version knows. */
export type ReleaseName = z.infer<typeof releaseNameShape>;

/** A release as the server asks for it: a component of the future must not make the whole answer unreadable. */
export const wantedReleaseShape = releaseNameShape.extend({ component: wireEnum(components) });

const haveShape = z.object({ version: versionShape, slot: slotShape, manifest: digestShape.optional() });

/**
 * POST /v1/checkin. The same shape for agent and updater; the updater's is the lifeline, so a field that this
 * version calls required is required for ever, and what is added later is optional.
 */
export const checkInRequestShape = z.object({
  proto: z.int().min(1),
  features: z.array(z.string().max(40)).max(32),
  boot: bootIdShape,
  /** Rises with every request of one key, over restarts. */
  seq: z.int().min(1),
  clock: z.object({ wallS: z.int(), monoMs: z.number().min(0) }),
  /** An object, not a record: a component that this version does not know is passed over, not refused. */
  have: z.object({ app: haveShape.optional(), updater: haveShape.optional(), os: haveShape.optional() }),
  etag: z.string().max(100).nullable(),
  health: z.object({
    status: checkStatusShape,
    checks: checksShape.optional(),
    /** Updater: the row of the state table. */
    row: z.string().max(20).optional(),
    /** Updater: the verdict sentence that page and command line print, in the same words. */
    why: z.string().max(600).optional(),
    agentAlive: z.boolean().optional(),
  }),
  /** Agent: the digest of the nonce that launch gave this start. */
  start: digestShape.optional(),
  /** Manifests that this appliance has in quarantine. */
  quarantine: z.array(digestShape).max(16).optional(),
  events: z.array(eventShape).max(eventsPerCheckInMax),
});
export type CheckInRequest = z.infer<typeof checkInRequestShape>;
export type CheckInRequestInput = z.input<typeof checkInRequestShape>;

export const desiredShape = z.object({
  /** null: nothing to install now; `reasons` says why not. */
  release: wantedReleaseShape.nullable(),
  /** An operator chose the agent's release for this very appliance, be it named here or installed already. */
  assigned: z.boolean().optional(),
  /** Base of the release repository below the server's URL, e.g. `/releases`. */
  path: z
    .string()
    .max(200)
    .regex(/^\/[a-z0-9/_-]*$/),
  /** For how long the maintenance window is still open; 0 is closed. The window is decided by the server. */
  openForS: z.int().min(0),
  reasons: z.array(z.string().max(200)).max(8),
});
export type Desired = z.infer<typeof desiredShape>;
/** As it travels, and as it is stored. */
export type DesiredInput = z.input<typeof desiredShape>;

/** What was parsed, as it travelled. */
export function asTravelled(desired: Desired): DesiredInput {
  const { release } = desired;
  return { ...desired, release: release === null ? null : { ...release, component: wordOf(release.component) } };
}

/** 200. A 204 has no body and means: nothing changed since `etag`; a request that carries events never gets one. */
export const checkInAnswerShape = z.object({
  etag: z.string().max(100),
  issuedAt: z.int().min(0),
  epoch: z.string().max(64),
  nextInS: z.number().min(0),
  /** Every event with a smaller or equal `n` is stored on the server. */
  ackUpto: z.int().min(0),
  orders: z.array(signedOrderShape).max(8),
  desired: desiredShape.nullable(),
  /** The server's word that one start of one version checked in, and how often. Keyed by the start's digest. */
  seen: z.record(z.string().max(64), z.object({ version: versionShape, checkIns: z.int().min(0) })),
});
export type CheckInAnswer = z.infer<typeof checkInAnswerShape>;
export type CheckInAnswerInput = z.input<typeof checkInAnswerShape>;

/** 409: the counter was not above the last one; signed. */
export const counterConflictShape = z.object({ code: z.literal('counter-too-low'), next: z.int().min(1) });

/** Every refusal: what happened, what to do next. */
export const problemShape = z.object({
  code: z.string().max(64),
  message: z.string().max(600),
  next: z.string().max(600).optional(),
});
export type Problem = z.infer<typeof problemShape>;

/** A delay as the server asked for it, within what anybody may ask. */
export function clampDelayS(delayS: number): number {
  return Number.isFinite(delayS) ? Math.min(Math.max(delayS, 0), delayMaxS) : delayMaxS;
}
