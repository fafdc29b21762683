import { z } from 'zod';
import type { CheckInRequest } from '../../protocol/check-in.ts';
import { versionShape } from '../../protocol/version.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Appliances, Role, StoredPresence } from '../store/appliances.ts';
import { readStored } from '../store/stored-json.ts';
import { clockShape, noteClock } from './clock.ts';

/** Starts of an appliance's agent whose check-ins are counted; older ones are forgotten. */
const startsKept = 4;
/** The updater waits for two; counting stops here, so that an unchanged answer stays unchanged. */
const seenCountMax = 3;
/** Of the last this many check-ins of one key … */
const counterHistory = 64;
/** … so many that contradict another one mean that two devices use the key; one may speak far more often. */
const cloneConflictsMin = 4;

/** The last millisecond that a calendar has. */
const timeMsMax = 8.64e15;

const haveShape = z.record(
  z.string(),
  z.object({ version: versionShape, slot: z.string(), manifest: z.string().optional() }),
);
const rolePresenceShape = z.object({
  atMs: z.number().min(0).max(timeMsMax),
  have: haveShape,
  status: z.string(),
  checks: z.record(z.string(), z.string()),
  row: z.string().nullable(),
  why: z.string().nullable(),
  agentAlive: z.boolean().nullable(),
  /** The one word of an updater's own status; null: an older updater sends none. */
  verdict: z.string().nullable().default(null),
  /** Check-ins in a row that named the same versions while no update was under way. */
  settled: z.number(),
});
const startShape = z.object({ start: z.string(), version: z.string(), checkIns: z.number() });
const presenceShape = z.object({
  agent: rolePresenceShape.nullable(),
  updater: rolePresenceShape.nullable(),
  quarantine: z.array(z.string()),
  /** The newest: a holder of the agent's key can push out any of them. */
  starts: z.array(startShape),
  /** The start that the updater waits for: only the updater names it, and no check-in of an agent replaces it. */
  awaited: startShape.nullable().default(null),
  clock: clockShape.nullable().default(null),
});

export type RolePresence = z.infer<typeof rolePresenceShape>;
type CountedStart = z.infer<typeof startShape>;
/** What an appliance last reported about itself, by program (S50: each appliance only by its own check-ins). */
export type Presence = z.infer<typeof presenceShape>;

const nothing: Presence = { agent: null, updater: null, quarantine: [], starts: [], awaited: null, clock: null };

/** Rows of the updater's table in which the appliance keeps the version that it has. */
const settledRows: ReadonlySet<string> = new Set(['idle', 'resolved', 'fetching', 'writing', 'sealed', 'closing']);

export function isSettledRow(row: string | null): boolean {
  return row === null || settledRows.has(row);
}

function versionsOf(have: RolePresence['have']): string {
  return JSON.stringify(
    Object.entries(have).map(([component, { version, manifest }]) => [component, version, manifest]),
  );
}

/** The presence after one more check-in. */
function noteCheckIn(before: Presence, role: Role, request: CheckInRequest, nowMs: number): Presence {
  const row = request.health.row ?? null;
  const have = haveShape.parse(request.have);
  const last = before[role];
  const same = last !== null && versionsOf(last.have) === versionsOf(have);
  const now: RolePresence = {
    atMs: nowMs,
    have,
    status: wordOf(request.health.status),
    checks: Object.fromEntries(Object.entries(request.health.checks ?? {}).map(([name, word]) => [name, wordOf(word)])),
    row,
    why: request.health.why ?? null,
    agentAlive: request.health.agentAlive ?? null,
    verdict: request.health.verdict ?? null,
    settled: isSettledRow(row) ? Math.min(same ? last.settled + 1 : 1, seenCountMax) : 0,
  };
  return {
    ...before,
    [role]: now,
    quarantine: role === 'updater' ? (request.quarantine ?? []) : before.quarantine,
    starts: role === 'agent' ? countStart(before.starts, request) : before.starts,
    awaited: role === 'agent' ? countAwaited(before.awaited, request) : awaitedNow(before, request),
    // The updater's clock: the updater checks in even when the agent does not.
    clock: role === 'updater' ? noteClock(before.clock, request, nowMs) : before.clock,
  };
}

function countStart(starts: Presence['starts'], request: CheckInRequest): Presence['starts'] {
  const version = request.have.app?.version;
  if (request.start === undefined || version === undefined) return starts;
  const known = starts.find((one) => one.start === request.start && one.version === version);
  const checkIns = Math.min((known?.checkIns ?? 0) + 1, seenCountMax);
  const others = starts.filter((one) => one.start !== request.start);
  return [...others, { start: request.start, version, checkIns }].slice(-startsKept);
}

/** When the updater begins to wait for a start, the count begins with what was counted for it among the newest. */
function awaitedNow({ awaited, starts }: Presence, { awaited: named }: CheckInRequest): Presence['awaited'] {
  if (named === undefined) return null;
  const isNamed = (one: CountedStart) => one.start === named.start && one.version === named.version;
  if (awaited !== null && isNamed(awaited)) return awaited;
  return { ...named, checkIns: starts.find(isNamed)?.checkIns ?? 0 };
}

/** A check-in of another version does not count, and does not reset the count. */
function countAwaited(awaited: Presence['awaited'], { start, have }: CheckInRequest): Presence['awaited'] {
  if (awaited === null || start !== awaited.start || have.app?.version !== awaited.version) return awaited;
  return { ...awaited, checkIns: Math.min(awaited.checkIns + 1, seenCountMax) };
}

/** Every start whose check-ins are counted; for the awaited one its own count takes precedence. */
export function countedStarts({ starts, awaited }: Presence): readonly CountedStart[] {
  if (awaited === null) return starts;
  return [...starts.filter((one) => one.start !== awaited.start), awaited];
}

export interface PresenceBoard {
  read(appliance: string): Presence;
  note(appliance: string, role: Role, request: CheckInRequest, nowMs: number): Presence;
  /** Remembers whether a key's counter was accepted, or showed that two devices use the key. */
  noteCounter(keyId: string, accepted: boolean): void;
  looksCloned(keyId: string): boolean;
  /** Changes with every change of the board. */
  readonly version: number;
  /** Forgets what was remembered about a key's counters. */
  forgetCounters(keyId: string): void;
  /** Writes what changed since the last flush, in one transaction. */
  flush(): void;
}

/** Last-seen and health of every appliance: in memory, written to the disk together. */
export function presenceBoardOf(
  appliances: Appliances,
  inTransaction: (work: () => void) => void,
  onFault: (row: StoredPresence, why: string) => void,
): PresenceBoard {
  const board = new Map<string, Presence>();
  const changed = new Set<string>();
  const counters = new Map<string, readonly boolean[]>();
  let version = 0;
  for (const row of appliances.presences()) {
    const stored = readStored(presenceShape, row.presence);
    if (stored.outcome === 'read') board.set(row.id, stored.value);
    else onFault(row, stored.why);
  }
  const read = (appliance: string): Presence => board.get(appliance) ?? nothing;
  return {
    read,
    note: (appliance, role, request, nowMs) => {
      const presence = noteCheckIn(read(appliance), role, request, nowMs);
      board.set(appliance, presence);
      changed.add(appliance);
      version += 1;
      return presence;
    },
    get version() {
      return version;
    },
    noteCounter: (keyId, accepted) => {
      version += 1;
      counters.set(keyId, [...(counters.get(keyId) ?? []), accepted].slice(-counterHistory));
    },
    looksCloned: (keyId) => (counters.get(keyId) ?? []).filter((accepted) => !accepted).length >= cloneConflictsMin,
    forgetCounters: (keyId) => {
      counters.delete(keyId);
    },
    flush: () => {
      if (changed.size === 0) return;
      inTransaction(() => {
        for (const id of changed) appliances.writePresence(id, JSON.stringify(read(id)));
      });
      changed.clear();
    },
  };
}
