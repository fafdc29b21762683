import { sha256 } from '../../protocol/digest.ts';
import { type Event, eventShape } from '../../protocol/event.ts';
import { addRareEvent, type Core, tellOnce } from '../core.ts';
import { type Heard, type Hearing, hear, type Numbering, type Range, type Remark } from '../rules/numbering.ts';
import type { KeyRow } from '../store/appliances.ts';
import { bytesOf } from '../store/events.ts';
import { readStored } from '../store/stored-json.ts';
import { eventTexts } from '../texts.ts';
import { applyEvent } from './apply-event.ts';
import { type Incoming, incomingOf } from './event-row.ts';
import type { ReceivedEvent } from './read-check-in.ts';

/** What the answer says about the events of its request. */
export interface StoredEvents {
  /** Ids of the events that are in the database now. */
  readonly stored: readonly string[];
  /** For a sender that reads numbers only. */
  readonly ackUpto: number;
  readonly offerFrom: number | null;
  /** How far the sender has come, for an answer without events. */
  readonly told: number;
  /** None of the events was taken because the quota is used up: seconds until the sender should try again. */
  readonly retryAfterS: number | null;
}

/** `postponed`: beyond the quota, to be sent again. `changed`: another event under the id of a stored one. */
type Added = 'new' | 'known' | 'changed' | 'failed' | 'postponed';

function isIn(how: Added): boolean {
  return how !== 'failed' && how !== 'postponed';
}

/**
 * Stores the events of one check-in, acts on each new one, and notes what is missing. Runs inside the check-in's
 * transaction; each event has a savepoint of its own, so that a bad one costs only itself (S35).
 */
export function storeEvents(core: Core, key: KeyRow, received: readonly ReceivedEvent[]): StoredEvents {
  const { appliance, role } = key;
  const before = core.senders.numbering(appliance, role);
  if (received.length === 0)
    return { stored: [], ackUpto: before.told, offerFrom: null, told: before.told, retryAfterS: null };
  const sorted = received.toSorted((a, b) => numberOf(a) - numberOf(b));
  const added = sorted.map((one) => {
    const incoming = incomingOf(core, key, one);
    return { one, row: incoming.row, n: numberOf(one), added: addAndApply(core, key, incoming) };
  });
  const firstOf = (how: Added) => added.find((each) => each.added === how)?.n ?? Number.POSITIVE_INFINITY;
  // A postponed event is no gap: the numbers from there on are heard when it has come.
  const heard = added
    .filter((each) => isIn(each.added) && each.n < firstOf('postponed'))
    .map(({ n, added: how }) => ({ n, isNew: how !== 'known' }));
  const { numbering, offerFrom, found } = keepNumbering(core, key, before, heard);
  const outAt = Math.min(firstOf('failed'), firstOf('postponed'));
  const upto = added.reduce((highest, { n }) => (n < outAt ? n : highest), 0);
  const postponed = added.find((each) => each.added === 'postponed');
  const isNoneIn = !added.some((each) => isIn(each.added));
  // If two events came under one id and one of them must come again, neither is acknowledged.
  const again = new Set(added.flatMap((each) => (isIn(each.added) ? [] : [idOf(each.one)])));
  return {
    stored: added.flatMap(({ one, added: how }) => (isIn(how) && !again.has(idOf(one)) ? (idOf(one) ?? []) : [])),
    // A sender that reads only numbers would forget what fills the gap: these are acknowledged when it sends them
    // again.
    ackUpto: found && offerFrom !== null ? Math.min(upto, offerFrom - 1) : upto,
    offerFrom,
    told: numbering.told,
    retryAfterS: postponed === undefined || !isNoneIn ? null : core.quota.waitS(postponed.row),
  };
}

/** Numbers only show what is missing: a fault in them loses no event and no answer. */
function keepNumbering(
  core: Core,
  { appliance, role }: KeyRow,
  before: Numbering,
  heard: readonly Heard[],
): Pick<Hearing, 'numbering' | 'offerFrom' | 'found'> {
  try {
    return core.db.transaction(() => {
      const gapsBefore = core.senders.gaps(appliance, role);
      const { numbering, gaps, remarks, offerFrom, found } = hear(before, gapsBefore, heard);
      if (numbering.last !== before.last || numbering.told !== before.told || numbering.former !== before.former) {
        core.senders.writeNumbering(appliance, role, numbering);
      }
      if (gaps.some((gap, index) => gap !== gapsBefore[index]) || gaps.length !== gapsBefore.length) {
        core.senders.writeGaps(appliance, role, gaps);
      }
      for (const { kind, text } of remarks.map((remark) => remarkOf(role, remark))) {
        addRareEvent(core, appliance, `${role}-${kind}`, text);
      }
      return { numbering, offerFrom, found };
    })();
  } catch (error) {
    core.log.error(error, eventTexts.numbersNotKept(role, appliance));
    addRareEvent(core, appliance, `${role}-numbers-lost`, eventTexts.missingNotNoted(role));
    return { numbering: before, offerFrom: null, found: false };
  }
}

function numberOf(one: ReceivedEvent): number {
  return one.kind === 'readable' ? one.event.n : one.n;
}

/** The id that its sender knows it by. */
function idOf(one: ReceivedEvent): string | null {
  return one.kind === 'readable' ? one.event.id : one.id;
}

function addAndApply(core: Core, key: KeyRow, incoming: Incoming): Added {
  const atMs = core.nowMs();
  const added = addOne(core, key, incoming, atMs);
  if (added === 'known' || !isIn(added)) return added;
  const { appliance, role } = key;
  const { n } = incoming.row;
  if (incoming.kind === 'unreadable') {
    tellOnce(core, appliance, `unreadable-${role}`, 'fault', eventTexts.unreadable(n, role, incoming.why));
    return added;
  }
  if (added === 'changed') {
    addRareEvent(core, appliance, `${role}-event-changed`, eventTexts.sameId(n, role));
  }
  const { fact, strangeOrder } = incoming.counted;
  if (fact.notCounted?.why === 'not-its-own') {
    const what = fact.notCounted.words.join(', ');
    addRareEvent(core, appliance, `${role}-fact-refused`, eventTexts.cannotKnow(role, what));
  }
  if (strangeOrder !== null) {
    addRareEvent(core, appliance, `${role}-order-unknown`, eventTexts.neverHadOrder(role, strangeOrder));
  }
  try {
    core.db.transaction(() => applyEvent(core, key, fact, atMs))();
  } catch (error) {
    core.log.error(error, eventTexts.notApplied);
    tellOnce(core, appliance, `unapplied-${role}`, 'fault', eventTexts.eventNotApplied(n, role));
  }
  return added;
}

/** An event that cannot be stored, or is beyond the quota, is not acknowledged, and comes again. */
function addOne(core: Core, key: KeyRow, incoming: Incoming, atMs: number): Added {
  const { appliance, role } = key;
  const row = { ...incoming.row, received_at: atMs };
  // Everything that is added counts, so that a known id is no way around the quota.
  const take = () => core.quota.take({ appliance, role, kind: row.kind, bytes: bytesOf(row) });
  const isThere = (id: string) => core.events.bodyOf(appliance, role, id) !== undefined;
  try {
    return core.db.transaction((): Added => {
      if (!isThere(row.id)) {
        if (!take()) return 'postponed';
        core.events.add(row);
        return 'new';
      }
      if (incoming.kind === 'unreadable' || isStored(core, key, incoming.event)) return 'known';
      // Its id is made from its bytes, so that it is stored once, however often it comes.
      const id = sha256(`again ${withoutNumber(incoming.event)}`);
      if (isThere(id)) return 'known';
      if (!take()) return 'postponed';
      core.events.add({ ...row, id });
      return 'changed';
    })();
  } catch (error) {
    core.log.error(error, eventTexts.notStored(row.n, role, appliance));
    return 'failed';
  }
}

/** Is this the event that is stored under its id? If the stored one cannot be read any more, it counts as the same. */
function isStored(core: Core, { appliance, role }: KeyRow, event: Event): boolean {
  const body = core.events.bodyOf(appliance, role, event.id);
  const stored = body === undefined ? null : readStored(eventShape, body);
  return stored?.outcome !== 'read' || withoutNumber(stored.value) === withoutNumber(event);
}

/** An event as bytes to compare. Without its number: a sender that lost its outbox numbers its events anew. */
function withoutNumber(event: Event): string {
  const sorted = (_key: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return JSON.stringify({ ...event, n: 0 }, sorted);
}

function rangeText({ from, to }: Range): string {
  return from === to ? eventTexts.oneEvent(from) : eventTexts.manyEvents(from, to);
}

function remarkOf(role: string, remark: Remark): { readonly kind: string; readonly text: string } {
  switch (remark.kind) {
    case 'missing': {
      const { range } = remark;
      return { kind: 'events-missing', text: eventTexts.missing(rangeText(range), role, range.from === range.to) };
    }
    case 'arrived': {
      const rest = remark.missing.map(rangeText).join(', ');
      const text = eventTexts.arrived(rangeText(remark.range), role);
      return { kind: 'events-arrived', text: rest === '' ? text : `${text}${eventTexts.exceptFor(rest)}` };
    }
    case 'went-back': {
      const { from, to } = remark;
      const text = from === to ? eventTexts.usedTwice(role, to) : eventTexts.wentBack(role, from, to);
      return { kind: 'numbering-went-back', text };
    }
    default:
      return remark satisfies never;
  }
}
