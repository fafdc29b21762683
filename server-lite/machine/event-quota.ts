import { checkInBytesMax } from '../../protocol/check-in.ts';
import { eventsPerCheckInMax } from '../../protocol/event.ts';
import type { Role } from '../store/appliances.ts';
import { keepLimits, keepOf } from '../store/keep.ts';

interface Quota {
  /** How many may come at once, as after weeks without a network. */
  readonly burst: number;
  /** How many may come each second, for ever. By default an agent makes one a second. */
  readonly perS: number;
}

const rest: Readonly<Record<Role, Quota>> = {
  agent: { burst: 20_000, perS: 5 },
  updater: { burst: 2_000, perS: 1 },
};
/** What happened to releases has a quota of its own, so that no flood of other events delays it. */
const facts: Quota = { burst: 500, perS: 0.2 };

const dayS = 86_400;
/**
 * An agent's first day fills three quarters of what is kept, each further day a half: a thief needs days to push that
 * out.
 */
const shares = { burst: 1 / 4, perDay: 1 / 2 };
/** Nobody waits longer than this: a check-in also brings orders. */
const waitSMax = 60;

/** An event as the quota of its sender counts it. */
export interface CountedEvent {
  readonly appliance: string;
  readonly role: Role;
  /** As it is stored. */
  readonly kind: string;
  /** Of its body and text, as they are stored. */
  readonly bytes: number;
}

/** How many new events each program of each appliance may send. In memory: a restart refills every quota. */
export interface EventQuota {
  /** @returns false when the quota has no room for the event */
  take(event: CountedEvent): boolean;
  /** Seconds until a whole check-in of such events fits, at most a minute. */
  waitS(event: Omit<CountedEvent, 'bytes'>): number;
}

interface Measure extends Quota {
  readonly name: string;
  readonly unit: 'events' | 'bytes';
}

/**
 * The quotas that an event is measured by. An agent's event is also measured against what is kept of its worth, so that
 * the agent cannot push that out at once. An updater's is not: it could push out only what it sent itself.
 */
function measuresOf(role: Role, kind: string): Measure[] {
  const keep = keepOf(role, kind);
  if (keep === 'fact') return [{ name: 'facts', unit: 'events', ...facts }];
  const all: Measure = { name: 'rest', unit: 'events', ...rest[role] };
  if (role === 'updater') return [all];
  const kept = (['events', 'bytes'] as const).map((unit): Measure => {
    const limit = keepLimits[keep][unit];
    return { name: `${keep} ${unit}`, unit, burst: limit * shares.burst, perS: (limit * shares.perDay) / dayS };
  });
  return [all, ...kept];
}

export function eventQuotaOf(monoMs: () => number): EventQuota {
  const buckets = new Map<string, { left: number; atMs: number }>();
  const bucketsOf = ({ appliance, role, kind }: Omit<CountedEvent, 'bytes'>) => {
    const now = monoMs();
    return measuresOf(role, kind).map((measure) => {
      const name = `${appliance} ${role} ${measure.name}`;
      const { left, atMs } = buckets.get(name) ?? { left: measure.burst, atMs: now };
      const bucket = { left: Math.min(left + ((now - atMs) / 1_000) * measure.perS, measure.burst), atMs: now };
      buckets.set(name, bucket);
      return { bucket, measure };
    });
  };
  return {
    take: (event) => {
      const cost = { events: 1, bytes: event.bytes };
      const of = bucketsOf(event);
      if (of.some(({ bucket, measure }) => bucket.left < cost[measure.unit])) return false;
      for (const { bucket, measure } of of) bucket.left -= cost[measure.unit];
      return true;
    },
    waitS: (event) => {
      const wanted = { events: eventsPerCheckInMax, bytes: checkInBytesMax };
      const waits = bucketsOf(event).map(({ bucket, measure }) =>
        Math.ceil((wanted[measure.unit] - bucket.left) / measure.perS),
      );
      return Math.min(Math.max(1, ...waits), waitSMax);
    },
  };
}
