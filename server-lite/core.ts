import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { ApplianceFacts, Fleet } from './fleet/decide.ts';
import { type PresenceBoard, presenceBoardOf } from './fleet/presence.ts';
import type { OnlineKeys } from './keys.ts';
import { openShelf, type ReleaseShelf } from './release/shelf.ts';
import { type ApplianceRow, type Appliances, appliancesOf } from './store/appliances.ts';
import { type Assignments, assignmentsOf } from './store/assignments.ts';
import { type Claims, claimsOf } from './store/claims.ts';
import type { Db } from './store/database.ts';
import { type Events, eventsOf } from './store/events.ts';
import { type Orders, ordersOf } from './store/orders.ts';
import { type Releases, releasesOf } from './store/releases.ts';
import { type Rollouts, rolloutsOf } from './store/rollouts.ts';
import { type Settings, settingsOf } from './store/settings.ts';

/** A program that missed this many check-ins does not count as there … */
const missedCheckIns = 3;
/** … but nobody is called silent sooner than this: a restart of the agent and a trial's switch take a moment. */
const silentMinMs = 10_000;

export interface Policy {
  /** Seconds between two check-ins of one program. */
  readonly paceS: number;
  /** Where appliances reach this server; written into claim codes. */
  readonly publicUrl: () => string;
  /** May the dashboard be read without the token? Only on loopback. */
  readonly openReading: boolean;
}

/** What the routes share: the stores, the keys, the clock. Built once, in server.ts. */
export interface Core {
  readonly db: Db;
  readonly settings: Settings;
  readonly appliances: Appliances;
  readonly assignments: Assignments;
  readonly claims: Claims;
  readonly events: Events;
  readonly orders: Orders;
  readonly releases: Releases;
  readonly rollouts: Rollouts;
  readonly presence: PresenceBoard;
  readonly shelf: ReleaseShelf;
  readonly keys: OnlineKeys;
  readonly policy: Policy;
  readonly nowMs: () => number;
  readonly log: FastifyBaseLogger;
  /** Changes when the database is another one (a new server, a backup), so that appliances offer their evidence again. */
  readonly epoch: string;
}

export interface CoreParts {
  readonly data: string;
  readonly db: Db;
  readonly keys: OnlineKeys;
  readonly policy: Policy;
  readonly nowMs: () => number;
  readonly log: FastifyBaseLogger;
}

export function makeCore({ data, db, keys, policy, nowMs, log }: CoreParts): Core {
  const settings = settingsOf(db);
  if (settings.read('epoch') === null) settings.write('epoch', randomUUID());
  const appliances = appliancesOf(db);
  return {
    db,
    settings,
    appliances,
    assignments: assignmentsOf(db),
    claims: claimsOf(db),
    events: eventsOf(db),
    orders: ordersOf(db),
    releases: releasesOf(db),
    rollouts: rolloutsOf(db),
    presence: presenceBoardOf(appliances, (work) => db.transaction(work)()),
    shelf: openShelf(join(data, 'releases')),
    keys,
    policy,
    nowMs,
    log,
    epoch: settings.read('epoch') ?? '',
  };
}

export function factsOf(core: Core, row: Pick<ApplianceRow, 'id' | 'name'>): ApplianceFacts {
  return { id: row.id, name: row.name, presence: core.presence.read(row.id) };
}

/** The fleet as {@link decide} sees it: rollouts, and single appliances on demand. */
export function fleetOf(core: Core): Fleet {
  return {
    appliance: (id) => {
      const row = core.appliances.find(id);
      return row === undefined || row.retired_at !== null ? undefined : factsOf(core, row);
    },
    rollouts: core.rollouts.list(),
    assigned: (id) => core.assignments.of(id),
    silentAfterMs: Math.max(missedCheckIns * core.policy.paceS * 1000, silentMinMs),
  };
}

/** An event of the server's own making, so that somebody sees what happened to an appliance without its doing. */
export function addServerEvent(core: Core, appliance: string, kind: string, text: string): void {
  core.events.add({
    appliance,
    role: 'server',
    id: randomUUID(),
    n: 0,
    kind,
    text,
    body: '{}',
    received_at: core.nowMs(),
  });
  core.log.warn({ appliance, kind }, text);
}
