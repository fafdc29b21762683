import { z } from 'zod';
import type { CheckInRequest } from '../../protocol/check-in.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Appliances, Role } from '../store/appliances.ts';
import { clockShape, noteClock } from './clock.ts';

/** Starts of the agent whose check-ins are counted for each appliance; older ones are forgotten. */
const startsKept = 4;
/** The server's word is "twice"; counting stops here, so that an unchanged answer stays unchanged. */
const seenCountMax = 3;
/** Of the last this many check-ins of one key … */
const counterHistory = 12;
/** … so many with a counter that is too low mean that two devices use the key. */
const cloneConflictsMin = 4;

const haveShape = z.record(
  z.string(),
  z.object({ version: z.string(), slot: z.string(), manifest: z.string().optional() }),
);
const rolePresenceShape = z.object({
  atMs: z.number(),
  have: haveShape,
  status: z.string(),
  checks: z.record(z.string(), z.string()),
  row: z.string().nullable(),
  why: z.string().nullable(),
  agentAlive: z.boolean().nullable(),
  /** Check-ins in a row that named the same versions while no update was under way. */
  settled: z.number(),
});
const presenceShape = z.object({
  agent: rolePresenceShape.nullable(),
  updater: rolePresenceShape.nullable(),
  quarantine: z.array(z.string()),
  starts: z.array(z.object({ start: z.string(), version: z.string(), checkIns: z.number() })),
  clock: clockShape.nullable().default(null),
});

export type RolePresence = z.infer<typeof rolePresenceShape>;
/** What an appliance last said of itself, by program (S50: each appliance only by its own check-ins). */
export type Presence = z.infer<typeof presenceShape>;

const nothing: Presence = { agent: null, updater: null, quarantine: [], starts: [], clock: null };

/** Rows of the updater's table in which what it has is what it keeps. */
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
    settled: isSettledRow(row) ? Math.min(same ? last.settled + 1 : 1, seenCountMax) : 0,
  };
  return {
    ...before,
    [role]: now,
    quarantine: role === 'updater' ? (request.quarantine ?? []) : before.quarantine,
    starts: role === 'agent' ? countStart(before.starts, request) : before.starts,
    // The updater's: it is there when the agent is not.
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

export interface PresenceBoard {
  read(appliance: string): Presence;
  note(appliance: string, role: Role, request: CheckInRequest, nowMs: number): Presence;
  /** Remembers whether a key's counter was accepted; two devices with one key alternate. */
  noteCounter(keyId: string, accepted: boolean): void;
  looksCloned(keyId: string): boolean;
  /** Writes what changed since the last flush, in one transaction. */
  flush(): void;
}

/** Last-seen and health of every appliance: in memory, read from there, flushed together. */
export function presenceBoardOf(appliances: Appliances, inTransaction: (work: () => void) => void): PresenceBoard {
  const board = new Map<string, Presence>();
  const changed = new Set<string>();
  const counters = new Map<string, readonly boolean[]>();
  for (const row of appliances.list()) {
    if (row.presence !== null) board.set(row.id, presenceShape.parse(JSON.parse(row.presence)));
  }
  const read = (appliance: string): Presence => board.get(appliance) ?? nothing;
  return {
    read,
    note: (appliance, role, request, nowMs) => {
      const presence = noteCheckIn(read(appliance), role, request, nowMs);
      board.set(appliance, presence);
      changed.add(appliance);
      return presence;
    },
    noteCounter: (keyId, accepted) => {
      counters.set(keyId, [...(counters.get(keyId) ?? []), accepted].slice(-counterHistory));
    },
    looksCloned: (keyId) => (counters.get(keyId) ?? []).filter((accepted) => !accepted).length >= cloneConflictsMin,
    flush: () => {
      if (changed.size === 0) return;
      inTransaction(() => {
        for (const id of changed) appliances.writePresence(id, JSON.stringify(read(id)));
      });
      changed.clear();
    },
  };
}
