import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { DiskSpace } from './disk-space.ts';
import type { ApplianceFacts, Fleet } from './fleet/fleet.ts';
import { type Hearing, hearingOf } from './fleet/hearing.ts';
import { type PresenceBoard, presenceBoardOf } from './fleet/presence.ts';
import type { OnlineKeys } from './keys.ts';
import { type AnswerChains, answerChains } from './machine/answer-chain.ts';
import { type CheckInRates, checkInRates } from './machine/check-in-rate.ts';
import { type CloneAlarms, cloneAlarmsOf } from './machine/clone-alarm.ts';
import { type Counters, countersOf } from './machine/counter.ts';
import { counterMarkOf } from './machine/counter-mark.ts';
import { type EventQuota, eventQuotaOf } from './machine/event-quota.ts';
import { type ForeignAuthorities, foreignAuthoritiesBoard } from './machine/foreign-authorities.ts';
import { type OnceAnHour, onceAnHour } from './machine/once-an-hour.ts';
import { type SeenRequests, seenRequests } from './machine/seen-requests.ts';
import { type UnknownKeys, unknownKeysBoard } from './machine/unknown-keys.ts';
import { type MetadataBoard, metadataBoardOf } from './release/metadata-board.ts';
import { openShelf, type ReleaseShelf } from './release/shelf.ts';
import type { SigningClock } from './signing-clock.ts';
import {
  type ApplianceRow,
  type Appliances,
  appliancesOf,
  type KeyRow,
  type StoredPresence,
} from './store/appliances.ts';
import { type Assignments, assignmentsOf } from './store/assignments.ts';
import { type Attempts, attemptsOf } from './store/attempts.ts';
import { type Claims, claimsOf } from './store/claims.ts';
import { clonesOf } from './store/clones.ts';
import type { Db } from './store/database.ts';
import { type Events, eventsOf } from './store/events.ts';
import { makeFirstNews } from './store/first-news.ts';
import { type NewsBoard, newsOf } from './store/news.ts';
import { type Orders, ordersOf } from './store/orders.ts';
import { type Releases, releasesOf } from './store/releases.ts';
import { type RolledBack, rolledBackOf } from './store/rolled-back.ts';
import { type Rollouts, rolloutsOf } from './store/rollouts.ts';
import { type Senders, sendersOf } from './store/senders.ts';
import { type Settings, settingsOf } from './store/settings.ts';
import { newestKept } from './store/unread-database.ts';
import { WriteTurn } from './store/write-turn.ts';
import { logTexts } from './texts.ts';

/** A program that missed this many check-ins counts as silent … */
const missedCheckIns = 3;
/** … but not before this time: a restart of the agent and a trial's switch take a moment. */
const silentMinMs = 10_000;
/** Without this bound, two devices that share a key could fill the database with the same sentence. */
const rareEventMs = 3_600_000;

export interface Policy {
  /** Seconds between two check-ins of one program. */
  readonly paceS: number;
  /** Where appliances reach this server; written into claim codes. */
  readonly publicUrl: () => string;
  /** The authorities that the server goes by, in the form of `protocol/authority.ts`. */
  readonly ownAuthorities: () => ReadonlySet<string>;
  /** The paths below which the server is reached; older agents sign them, too. */
  readonly basePaths: readonly string[];
  /** May the dashboard be read without the token? Only if an option asked for that. */
  readonly openReading: boolean;
  /** Do clients that use this name in the Host header speak HTTPS? */
  readonly isReachedByTls: (host: string) => boolean;
  /** What is wrong with the served certificate; null: nothing, or there is no certificate. */
  readonly certificateTrouble: (nowMs: number) => string | null;
}

/** What the routes share: the stores, the keys, the clock. Built once, in server.ts. */
export interface Core {
  readonly db: Db;
  /** Taken before each write. */
  readonly turn: WriteTurn;
  readonly settings: Settings;
  readonly appliances: Appliances;
  readonly assignments: Assignments;
  readonly attempts: Attempts;
  readonly claims: Claims;
  readonly clones: CloneAlarms;
  readonly rolledBack: RolledBack;
  readonly events: Events;
  readonly news: NewsBoard;
  readonly orders: Orders;
  readonly releases: Releases;
  readonly rollouts: Rollouts;
  readonly presence: PresenceBoard;
  readonly hearing: Hearing;
  readonly senders: Senders;
  readonly counters: Counters;
  readonly chains: AnswerChains;
  readonly seen: SeenRequests;
  readonly rates: CheckInRates;
  readonly hourly: OnceAnHour;
  readonly quota: EventQuota;
  readonly unknownKeys: UnknownKeys;
  readonly foreignAuthorities: ForeignAuthorities;
  readonly metadata: MetadataBoard;
  readonly shelf: ReleaseShelf;
  readonly keys: OnlineKeys;
  readonly policy: Policy;
  readonly clock: SigningClock;
  readonly disk: DiskSpace;
  /** The signing clock's: what is due goes by the same time as what is signed. */
  readonly nowMs: () => number;
  /** For durations: nobody can set this clock. */
  readonly monoMs: () => number;
  readonly log: FastifyBaseLogger;
  /** Stored rows and files that were damaged and set aside when the server started. */
  readonly faults: readonly string[];
  /** Changes with the database (a new server, a backup), so that appliances offer their evidence again. */
  readonly epoch: string;
}

export interface CoreParts {
  readonly data: string;
  readonly db: Db;
  readonly keys: OnlineKeys;
  readonly policy: Policy;
  readonly clock: SigningClock;
  readonly disk: DiskSpace;
  readonly monoMs: () => number;
  readonly processMs: () => number;
  readonly log: FastifyBaseLogger;
  /** How long a request waits for another process that writes, if not the default. */
  readonly lockWaitMs?: number | undefined;
}

export function makeCore(parts: CoreParts): Core {
  const { data, db, keys, policy, clock, disk, monoMs, log, lockWaitMs } = parts;
  const settings = settingsOf(db);
  const isNew = settings.read('epoch') === null;
  if (isNew) settings.write('epoch', randomUUID());
  const appliances = appliancesOf(db);
  const nowMs = () => clock.nowMs();
  const shelf = openShelf(join(data, 'releases'));
  const lost = isNew && keys.made.length === 0 ? [databaseLost(data)] : [];
  for (const text of lost) log.warn(text);
  const faults = [...lost, ...keys.faults, ...lostKeys(keys, appliances), ...shelf.faults];
  const events = eventsOf(db);
  const news = newsOf(db);
  const ids = appliances.list().map(({ id }) => id);
  makeFirstNews(db, settings, news, ids);
  const onPresenceFault = ({ id, name }: StoredPresence, why: string): void => {
    const text = logTexts.presenceDamaged(why);
    faults.push(`${name}: ${text}`);
    writeEvent({ events, nowMs, log }, id, 'fault', text);
  };
  const onCounterDamage = (key: KeyRow, ceiling: number): void => {
    writeEvent({ events, nowMs, log }, key.appliance, 'counter-reset', logTexts.counterDamaged(key.role, ceiling));
  };
  return {
    db,
    turn: new WriteTurn(db, lockWaitMs),
    settings,
    appliances,
    assignments: assignmentsOf(db),
    attempts: attemptsOf(db),
    claims: claimsOf(db),
    clones: cloneAlarmsOf(clonesOf(db)),
    rolledBack: rolledBackOf(db),
    events,
    news,
    orders: ordersOf(db),
    releases: releasesOf(db),
    rollouts: rolloutsOf(db),
    presence: presenceBoardOf(appliances, (work) => db.transaction(work)(), onPresenceFault),
    hearing: hearingOf(monoMs, parts.processMs),
    senders: sendersOf(db),
    counters: countersOf({
      appliances,
      mark: counterMarkOf(data),
      isFullError: (error) => disk.isFullError(error),
      onDamage: onCounterDamage,
      onFull: () => log.warn(logTexts.countersInMemory),
    }),
    chains: answerChains(),
    seen: seenRequests(),
    rates: checkInRates(),
    hourly: onceAnHour(),
    quota: eventQuotaOf(monoMs),
    unknownKeys: unknownKeysBoard(),
    foreignAuthorities: foreignAuthoritiesBoard(),
    metadata: metadataBoardOf(settings),
    shelf,
    keys,
    policy,
    clock,
    disk,
    nowMs,
    monoMs,
    log,
    faults,
    epoch: settings.read('epoch') ?? '',
  };
}

function databaseLost(data: string): string {
  const kept = newestKept(join(data, 'server.db'));
  return logTexts.databaseLost(kept === null ? '' : logTexts.databaseKept(kept));
}

/** Keys that were made anew where appliances know others: nothing that they sign is believed. */
function lostKeys({ made }: OnlineKeys, appliances: Appliances): string[] {
  if (made.length === 0 || appliances.list().length === 0) return [];
  return [logTexts.keyNotBelieved(logTexts.keyMissing(made.join(', ')))];
}

export function factsOf(core: Core, row: Pick<ApplianceRow, 'id' | 'name'>): ApplianceFacts {
  return { id: row.id, name: row.name, presence: core.presence.read(row.id) };
}

/** The fleet as {@link decide} sees it: rollouts, and single appliances on demand. */
export function fleetOf(core: Core): Fleet {
  const silentAfterMs = Math.max(missedCheckIns * core.policy.paceS * 1000, silentMinMs);
  return {
    appliance: (id) => {
      const row = core.appliances.find(id);
      return row === undefined ? undefined : { ...factsOf(core, row), isRetired: row.retired_at !== null };
    },
    rollouts: core.rollouts.offered(),
    assigned: (id) => core.assignments.of(id),
    standing: (rollout, id) => core.attempts.standing(rollout, id),
    rolledBackFor: (id, manifest) => core.rolledBack.reasonOf(id, manifest),
    silentAfterMs,
    isSilent: (id) => core.hearing.silentMs(id) > silentAfterMs,
  };
}

/** The same for a look at the whole fleet: appliances and assignments are read together. */
export function wholeFleetOf(core: Core): Fleet {
  const rows = new Map(core.appliances.list().map((row) => [row.id, row]));
  const assigned = core.assignments.all();
  return {
    ...fleetOf(core),
    appliance: (id) => {
      const row = rows.get(id);
      return row === undefined ? undefined : { ...factsOf(core, row), isRetired: row.retired_at !== null };
    },
    assigned: (id) => assigned.get(id) ?? [],
  };
}

/** An event that the server itself adds, so that people see what happened to an appliance. */
export function addServerEvent(core: Core, appliance: string, kind: string, text: string): void {
  writeEvent(core, appliance, kind, text);
}

/** The same for what an appliance can cause again and again: at most one of a kind in {@link rareEventMs}. */
export function addRareEvent(core: Core, appliance: string, kind: string, text: string): void {
  const last = core.events.lastNotedMs(appliance, kind);
  const sinceMs = last === null ? Number.POSITIVE_INFINITY : core.nowMs() - last;
  if (sinceMs < 0 || sinceMs >= rareEventMs) writeEvent(core, appliance, kind, text);
}

/** Stores a sentence of which only the latest is kept. */
export function tellOnce(
  core: Pick<Core, 'events' | 'nowMs' | 'log'>,
  appliance: string,
  id: string,
  kind: string,
  text: string,
): void {
  core.events.withdraw(appliance, id);
  writeEvent(core, appliance, kind, text, id);
}

function writeEvent(
  { events, nowMs, log }: Pick<Core, 'events' | 'nowMs' | 'log'>,
  appliance: string,
  kind: string,
  text: string,
  id: string = randomUUID(),
): void {
  events.add({ appliance, role: 'server', id, n: 0, kind, text, body: '{}', received_at: nowMs() });
  log.warn({ appliance, kind }, text);
}
