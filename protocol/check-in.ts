import { z } from 'zod';
import { authorityShape, featuresShape } from './authority.ts';
import { componentShape, components, slotShape } from './component.ts';
import { digestShape } from './digest.ts';
import { eventShape, eventsPerCheckInMax } from './event.ts';
import { checkStatusShape, checksShape } from './health.ts';
import { bootIdShape, uuidShape } from './ids.ts';
import { signedOrderShape } from './order.ts';
import { versionShape } from './version.ts';
import { wireEnum, wordOf } from './wire-enum.ts';

/** Where a server has the release repository, unless an answer says otherwise. */
export const releasesPath = '/releases';

export const checkInPath = '/v1/checkin';
export const checkInBytesMax = 16 * 1024;
/** The longest delay that any message may ask of an appliance. */
export const delayMaxS = 24 * 60 * 60;
/**
 * An unsigned answer may delay, too, but an attacker who held this connection for a moment must not keep the appliance
 * away for a day.
 */
const unsignedDelayMaxS = 60 * 60;
/**
 * The longest pause between two check-ins of a version that is on trial or has just started: the server must see it
 * twice before its trial ends, whatever the pace is otherwise.
 */
export const trialPaceS = 10;
/** Counters are reserved durably in blocks of this many. */
export const counterBlock = 1_000;

const releaseNameShape = z.object({ component: componentShape, version: versionShape, manifest: digestShape });
/** A release of a component that this version knows. */
export type ReleaseName = z.infer<typeof releaseNameShape>;

/** A release as the server asks for it: a future component must not make the whole answer unreadable. */
export const wantedReleaseShape = releaseNameShape.extend({ component: wireEnum(components) });

/** One start of the agent, by the digest of its nonce, and the version that it must report. */
const awaitedStartShape = z.object({ start: digestShape, version: versionShape });
export type AwaitedStart = z.infer<typeof awaitedStartShape>;

const haveShape = z.object({ version: versionShape, slot: slotShape, manifest: digestShape.optional() });

/**
 * POST /v1/checkin, the same shape for agent and updater. The updater's is the lifeline: a field that this version
 * requires is required for ever, and later fields are optional.
 */
export const checkInRequestShape = z.object({
  proto: z.int().min(1),
  features: featuresShape,
  /** The authority that the server is asked under, in the form of `authority.ts`. */
  authority: authorityShape.optional(),
  boot: bootIdShape,
  /** Rises with every request of one key, across restarts. */
  seq: z.int().min(1),
  clock: z.object({ wallS: z.int(), monoMs: z.number().min(0) }),
  /** An object, not a record: an unknown component is skipped, not refused. */
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
    /** Updater: the one word that page and command line print beside `why`. */
    verdict: z.string().max(20).optional(),
  }),
  /** Agent: the digest of the nonce that launch gave this start. */
  start: digestShape.optional(),
  /**
   * Updater: the start of the agent on trial whose check-ins it waits for. The server counts them separately from all
   * other starts, as long as each check-in of the updater names it.
   */
  awaited: awaitedStartShape.optional(),
  /**
   * The digest of the `signature` of the last answer (200 or 204) that this program accepted; absent: it remembers
   * none. Another user of its key does not know it.
   */
  last: digestShape.optional(),
  /** Updater: the machine's own name, for people who look for it. */
  machine: z.string().max(64).optional(),
  /** Manifests that this appliance has in quarantine. */
  quarantine: z.array(digestShape).max(16).optional(),
  /** Updater: the versions of the server's own metadata that it trusts. A restored server signs above them. */
  trusted: z.object({ snapshot: z.int().min(0), timestamp: z.int().min(0) }).optional(),
  events: z.array(eventShape).max(eventsPerCheckInMax),
});
export type CheckInRequest = z.infer<typeof checkInRequestShape>;
export type CheckInRequestInput = z.input<typeof checkInRequestShape>;

export const desiredShape = z.object({
  /** null: nothing to install now; `reasons` says why not. */
  release: wantedReleaseShape.nullable(),
  /** An operator chose the agent's release for this appliance, whether it is named here or already installed. */
  assigned: z.boolean().optional(),
  /** Base of the release repository below the server's URL, e.g. `/releases`. */
  path: z
    .string()
    .max(200)
    .regex(/^\/[a-z0-9/_-]*$/),
  /** How long the maintenance window stays open; 0: closed. The server decides about the window. */
  openForS: z.int().min(0),
  reasons: z.array(z.string().max(200)).max(8),
});
export type Desired = z.infer<typeof desiredShape>;
/** As it travels, and as it is stored. */
export type DesiredInput = z.input<typeof desiredShape>;

/** The parsed value, as it travelled. */
export function asTravelled(desired: Desired): DesiredInput {
  const { release } = desired;
  return { ...desired, release: release === null ? null : { ...release, component: wordOf(release.component) } };
}

/** Orders in one answer; the others come with the next one. */
export const ordersPerAnswerMax = 8;

/** 200. A 204 has no body and means: nothing changed since `etag`; a request that carries events never gets one. */
export const checkInAnswerShape = z.object({
  etag: z.string().max(100),
  /** The features of this client that the server understands; absent: none. */
  features: featuresShape.optional(),
  issuedAt: z.int().min(0),
  epoch: z.string().max(64),
  nextInS: z.number().min(0),
  /** From a server without `stored`: it has every event of this request whose `n` is not above this. */
  ackUpto: z.int().min(0),
  /** Ids of this request's events that the server has. A sender forgets only these. */
  stored: z.array(uuidShape).max(eventsPerCheckInMax).optional(),
  /** The server misses events from this number on: the sender offers again those that it still keeps. */
  offerFrom: z.int().min(1).optional(),
  orders: z.array(signedOrderShape).max(ordersPerAnswerMax),
  desired: desiredShape.nullable(),
  /** Two machines use this appliance's identity: how the server tells them apart. Absent: none is known. */
  clone: z
    .array(z.object({ boot: bootIdShape, address: z.string().max(64) }))
    .max(4)
    .optional(),
  /** Which of its keys are in use twice; absent with a `clone`: the server does not say. */
  cloneKeys: z.array(z.string().max(20)).max(4).optional(),
  /** How often each start checked in, and as which version, as the server counts it. Keyed by the start's digest. */
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
  /**
   * With `key-unknown`: the key that the server does not know. A signed refusal that names another key is not meant for
   * its reader.
   */
  key: digestShape.optional(),
});
export type Problem = z.infer<typeof problemShape>;

/** The delay that the server asked for, limited to what is allowed. */
export function clampDelayS(delayS: number): number {
  return Number.isFinite(delayS) ? Math.min(Math.max(delayS, 0), delayMaxS) : delayMaxS;
}

/**
 * The delay in an answer (RFC 9110 section 10.2.3), in seconds only: an appliance has no clock to compare a date with.
 * 0: none, or none that can be read.
 */
export function retryAfterSOf(headers: { readonly 'retry-after'?: unknown }, isSigned: boolean): number {
  const value = headers['retry-after'];
  if (typeof value !== 'string' || !/^\d{1,9}$/.test(value)) return 0;
  return Math.min(Number(value), isSigned ? delayMaxS : unsignedDelayMaxS);
}
