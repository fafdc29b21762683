import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  type CheckInAnswerInput,
  type CheckInRequest,
  type DesiredInput,
  ordersPerAnswerMax,
  releasesPath,
} from '../../protocol/check-in.ts';
import { sha256 } from '../../protocol/digest.ts';
import { type Envelope, envelopeShape, sealedAnew } from '../../protocol/trust/envelope.ts';
import { claimedKeyId } from '../../protocol/trust/http-signature.ts';
import { addServerEvent, type Core, factsOf, fleetOf } from '../core.ts';
import { type Decision, decide } from '../fleet/decide.ts';
import { noteOffer, noteWhatItIs } from '../fleet/outcomes.ts';
import { countedStarts, type Presence } from '../fleet/presence.ts';
import { addressOf } from '../peer.ts';
import { Refusal } from '../refusal.ts';
import { signAbove } from '../release/publish.ts';
import type { KeyRow } from '../store/appliances.ts';
import { readStored } from '../store/stored-json.ts';
import { checkInTexts, cloneTexts, orderTexts } from '../texts.ts';
import { requireOwnAuthority } from './asked-authority.ts';
import { cloneSentence, sidesAsTold } from './clone-alarm.ts';
import { newIdentityOf } from './enrolled-keys.ts';
import { paceOf } from './pace.ts';
import { readCheckIn } from './read-check-in.ts';
import {
  type Answer,
  answerSigned,
  requireSignature,
  requireWellFormed,
  type SignedRequest,
} from './signed-exchange.ts';
import { type StoredEvents, storeEvents } from './store-events.ts';

/** Their bytes in one answer; an agent reads at most 256 KiB of an answer. */
const ordersBytesMax = 32 * 1024;
/** Sites have no maintenance windows yet: the window is always open for another hour. */
const openForS = 3_600;

/** POST /v1/checkin: one round trip of an agent or an updater. */
export function handleCheckIn(core: Core, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const keyId = claimedKeyId(request.headers);
  const key = keyId === null ? undefined : core.appliances.key(keyId);
  if (keyId !== null && key === undefined) return answerUnknownKey(core, keyId, request, reply);
  const signed = requireSignature(core, request, key?.public_key);
  const work = (): Answer => {
    if (key === undefined || key.revoked_at !== null) {
      const named = key === undefined ? undefined : core.appliances.find(key.appliance)?.name;
      throw new Refusal('key-revoked', checkInTexts.keyRevoked, newIdentityOf(named ?? 'NAME'));
    }
    const name = core.appliances.find(key.appliance);
    if (name?.retired_at) throw new Refusal('appliance-retired', checkInTexts.retired, checkInTexts.retiredNext);
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return checkIn(core, key, { signed, body, address: addressOf(request) });
  };
  return answerSigned(core, request, signed, reply, work, (signature) => {
    if (keyId !== null) core.chains.answered(keyId, signature);
  });
}

/**
 * A key that is not in the database: nothing of the request can be verified, so nothing is done with it. But the answer
 * is signed and names the key, so that an appliance can tell a server that forgot it from a captive portal.
 */
function answerUnknownKey(core: Core, keyId: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const signed = requireWellFormed(core, request);
  core.unknownKeys.note(keyId, addressOf(request), core.nowMs());
  const why = checkInTexts.notKnownHere;
  const refusal = new Refusal('key-unknown', checkInTexts.keyUnknown(why), checkInTexts.keyUnknownNext);
  return answerSigned(core, request, signed, reply, () => ({
    status: refusal.status,
    body: { ...refusal.problem(), key: keyId },
  }));
}

interface Received {
  readonly signed: SignedRequest;
  readonly body: Buffer;
  readonly address: string;
}

function checkIn(core: Core, key: KeyRow, { signed, body, address }: Received): Answer {
  const { request, events, faults } = readCheckIn(body);
  const { authority = request.authority } = signed.target ?? {};
  const asked = { authority, isSigned: signed.target !== undefined, features: request.features };
  // A request that was taken before has no effect, not even on what is noted about names.
  const features = requireOwnAuthority(core, asked, core.counters.isNew(key, request.seq) ? key.appliance : null);
  const counter = core.counters.take(key, request.seq);
  noteCounter(core, key, request.seq, sha256(body), counter.outcome === 'accepted');
  if (counter.outcome === 'too-low') {
    return { status: 409, body: { code: 'counter-too-low', next: counter.next } };
  }
  const { isTwo, knewBoot } = core.clones.noteSide(key, request, address, core.nowMs());
  const contradicts = core.chains.took(key.key_id, knewBoot, request.last);
  const isTooOften = core.rates.noteTaken(key.key_id, core.nowMs());
  if (isTwo || contradicts || isTooOften) raiseClone(core, key);
  noteFaults(core, key, faults);
  if (key.role === 'updater') core.hearing.heard(key.appliance);
  const presence = core.presence.note(key.appliance, key.role, request, core.nowMs());
  if (key.role === 'updater' && request.trusted !== undefined) signAbove(core, key.appliance, request.trusted);
  // Outside of the transaction: the mark that the clock stamped must stay on the disk, even if this check-in fails.
  const issuedAt = Math.floor(core.clock.stampMs() / 1000);
  noteWhatItIs(core, key.appliance);
  // Everything that the answer acknowledges is committed before the answer is made.
  const { answer, decision } = core.db.transaction(() => {
    const stored = storeEvents(core, key, events);
    if (stored.retryAfterS !== null) return { answer: overQuota(key, stored.retryAfterS), decision: null };
    return answerTo(core, { key, request, presence, stored, features, hasEvents: events.length > 0, issuedAt });
  })();
  if (decision !== null) noteOffer(core, key.appliance, decision);
  return answer;
}

/** Of each program's check-ins the first fault in an hour: they are as many as a sender likes. */
function noteFaults(core: Core, { key_id, appliance, role }: KeyRow, faults: readonly string[]): void {
  const [first] = faults;
  if (first === undefined || !core.hourly.isDue(`faults ${key_id}`, core.nowMs())) return;
  const more = faults.length === 1 ? '' : checkInTexts.andMore(faults.length - 1);
  core.log.warn({ appliance, role }, checkInTexts.faults(first, more));
}

/** None of the events was taken; a check-in that brings none, or what happened to a release, is answered all the same. */
function overQuota({ role }: KeyRow, retryAfterS: number): Answer {
  const why = checkInTexts.overQuota(role);
  const refusal = new Refusal('events-over-quota', why, checkInTexts.overQuotaNext(retryAfterS));
  return { status: refusal.status, body: refusal.problem(), retryAfterS };
}

/** A counter that is too low counts against the key only if the request shows that two devices use it. */
function noteCounter(core: Core, key: KeyRow, seq: number, digest: string, accepted: boolean): void {
  if (accepted) core.seen.accepted(key.key_id, seq, digest);
  else if (!core.seen.contradicts(key.key_id, seq, digest)) return;
  const before = core.presence.looksCloned(key.key_id);
  core.presence.noteCounter(key.key_id, accepted);
  if (!before && core.presence.looksCloned(key.key_id)) raiseClone(core, key);
}

/** The alarm stays until a person says that it is solved, even if the two are no longer seen to alternate. */
function raiseClone(core: Core, key: KeyRow): void {
  if (!core.clones.raise(key, core.nowMs())) return;
  const { appliance, role } = key;
  const alarm = core.clones.of(appliance);
  const name = core.appliances.find(appliance)?.name ?? appliance;
  const sentence = alarm === null ? '' : `; ${cloneSentence(alarm, name, null)}`;
  addServerEvent(core, appliance, 'clone', cloneTexts.alarm(role, sentence));
}

interface CheckedIn {
  readonly key: KeyRow;
  readonly request: CheckInRequest;
  readonly presence: Presence;
  readonly stored: StoredEvents;
  readonly features: readonly string[];
  readonly hasEvents: boolean;
  readonly issuedAt: number;
}

interface Answered {
  readonly answer: Answer;
  /** What an updater may install; null: the agent asked. */
  readonly decision: Decision | null;
}

function answerTo(core: Core, checkedIn: CheckedIn): Answered {
  const { key, request, presence, stored, hasEvents, issuedAt } = checkedIn;
  const orders = key.role === 'agent' ? takeOrders(core, key.appliance) : [];
  const wanted = key.role === 'updater' ? desiredFor(core, key.appliance) : null;
  const { desired, decision } = wanted ?? { desired: null, decision: null };
  const seen = Object.fromEntries(
    countedStarts(presence).map(({ start, version, checkIns }) => [start, { version, checkIns }]),
  );
  const nextInS = paceOf(core, key, { presence, start: request.start, isOffered: decision?.kind === 'offer' });
  const { epoch } = core;
  const alarm = core.clones.of(key.appliance);
  const clone = alarm === null ? {} : { clone: sidesAsTold(alarm), cloneKeys: [...alarm.roles] };
  const features = checkedIn.features.length === 0 ? {} : { features: [...checkedIn.features] };
  // Everything but the time of the answer, the parts about this request's events, and the orders, which are sent until
  // the agent takes them.
  const etag = createHash('sha256')
    .update(JSON.stringify({ epoch, nextInS, ackUpto: stored.told, desired, seen, ...clone, ...features }))
    .digest('base64url');
  if (request.etag === etag && !hasEvents && orders.length === 0) return { answer: { status: 204 }, decision };
  const { ackUpto, offerFrom } = stored;
  const ofEvents = hasEvents ? { stored: [...stored.stored], ...(offerFrom === null ? {} : { offerFrom }) } : {};
  const always = { etag, issuedAt, epoch, nextInS, ackUpto, orders, desired, seen };
  const body: CheckInAnswerInput = { ...always, ...features, ...ofEvents, ...clone };
  return { answer: { status: 200, body }, decision };
}

/**
 * Each check-in of the agent gets its orders again until it has taken them; what does not fit waits for the next one.
 */
function takeOrders(core: Core, appliance: string): Envelope[] {
  const taken: Envelope[] = [];
  let bytes = 0;
  for (const order of core.orders.toSend(appliance, core.nowMs(), ordersPerAnswerMax)) {
    const stored = readStored(envelopeShape, order.envelope);
    if (stored.outcome === 'unreadable') {
      // It can never be sent, so it ends: nobody waits for it, and it does not block the others.
      const error = orderTexts.damaged(stored.why);
      core.orders.move(order.id, { state: 'failed', error, result: null, ended_at: core.nowMs() });
      addServerEvent(core, appliance, 'fault', orderTexts.notSent(order.kind, order.id, error));
      continue;
    }
    const envelope = sealedAnew(stored.value, core.keys.answer);
    bytes += Buffer.byteLength(JSON.stringify(envelope));
    if (bytes > ordersBytesMax && taken.length > 0) break;
    core.orders.markSent(order.id, core.nowMs());
    taken.push(envelope);
  }
  return taken;
}

function desiredFor(core: Core, appliance: string): { desired: DesiredInput; decision: Decision } {
  const row = core.appliances.find(appliance) ?? { id: appliance, name: appliance };
  const fleet = fleetOf(core);
  const decision = decide(factsOf(core, row), fleet, core.nowMs());
  const assigned = fleet.assigned(appliance).some((one) => one.component === 'app' && !one.withdrawn);
  const desired = {
    release: decision.kind === 'offer' ? decision.release : null,
    ...(assigned ? { assigned } : {}),
    path: releasesPath,
    openForS,
    reasons: [...decision.reasons],
  };
  return { desired, decision };
}
