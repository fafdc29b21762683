import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  type CheckInAnswerInput,
  type CheckInRequest,
  type DesiredInput,
  releasesPath,
} from '../../protocol/check-in.ts';
import { envelopeShape, sealedAnew } from '../../protocol/trust/envelope.ts';
import { claimedKeyId } from '../../protocol/trust/http-signature.ts';
import { addServerEvent, type Core, factsOf, fleetOf } from '../core.ts';
import { decide } from '../fleet/decide.ts';
import type { Presence } from '../fleet/presence.ts';
import { Refusal } from '../refusal.ts';
import type { KeyRow } from '../store/appliances.ts';
import type { Counters } from './counter.ts';
import { readCheckIn } from './read-check-in.ts';
import { type Answer, answerSigned, requireSignature } from './signed-exchange.ts';
import { storeEvents } from './store-events.ts';

/** Orders in one answer, as the protocol caps them. */
const ordersPerAnswerMax = 8;
/** Sites have no maintenance windows yet: the window is always open for another hour. */
const openForS = 3_600;
/** The server spreads appliances over this part of the pace, by a hash of their id. */
const paceSpread = 0.2;

/** POST /v1/checkin: one round trip of an agent or an updater. */
export function handleCheckIn(
  core: Core,
  counters: Counters,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const keyId = claimedKeyId(request.headers);
  const key = keyId === null ? undefined : core.appliances.key(keyId);
  requireSignature(request, key?.public_key);
  if (key === undefined || key.revoked_at !== null) {
    throw new Refusal('key-revoked', 'this key was revoked', 'enrol the appliance anew');
  }
  return answerSigned(core, request, reply, () => {
    const name = core.appliances.find(key.appliance);
    if (name?.retired_at)
      throw new Refusal('appliance-retired', 'this appliance is retired', 'keep running, ask daily');
    return checkIn(core, counters, key, Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
  });
}

function checkIn(core: Core, counters: Counters, key: KeyRow, body: Buffer): Answer {
  const { request, events, faults } = readCheckIn(body);
  const counter = counters.take(key, request.seq);
  noteCounter(core, key, counter.outcome === 'accepted');
  if (counter.outcome === 'too-low') {
    return { status: 409, body: { code: 'counter-too-low', next: counter.next } };
  }
  for (const fault of faults) core.log.warn({ appliance: key.appliance, role: key.role }, `check-in: ${fault}`);
  const presence = core.presence.note(key.appliance, key.role, request, core.nowMs());
  // Everything that the answer acknowledges is committed before the answer is made.
  return core.db.transaction(() => {
    const ackUpto = storeEvents(core, key, events);
    return answerTo(core, key, request, presence, ackUpto, events.length > 0);
  })();
}

function noteCounter(core: Core, key: KeyRow, accepted: boolean): void {
  const before = core.presence.looksCloned(key.key_id);
  core.presence.noteCounter(key.key_id, accepted);
  if (!before && core.presence.looksCloned(key.key_id)) {
    addServerEvent(
      core,
      key.appliance,
      'clone',
      `two devices seem to use the ${key.role}'s key: their counters alternate`,
    );
  }
}

function answerTo(
  core: Core,
  key: KeyRow,
  request: CheckInRequest,
  presence: Presence,
  ackUpto: number,
  hasEvents: boolean,
): Answer {
  const orders = key.role === 'agent' ? takeOrders(core, key.appliance) : [];
  const desired = key.role === 'updater' ? desiredFor(core, key.appliance) : null;
  const seen = Object.fromEntries(
    presence.starts.map(({ start, version, checkIns }) => [start, { version, checkIns }]),
  );
  const nextInS = paceOf(core, key.appliance);
  const { epoch } = core;
  // Everything but the time of the answer and the orders, which are sent until they are taken.
  const etag = createHash('sha256')
    .update(JSON.stringify({ epoch, nextInS, ackUpto, desired, seen }))
    .digest('base64url');
  if (request.etag === etag && !hasEvents && orders.length === 0) return { status: 204 };
  const issuedAt = Math.floor(core.nowMs() / 1000);
  const body: CheckInAnswerInput = { etag, issuedAt, epoch, nextInS, ackUpto, orders, desired, seen };
  return { status: 200, body };
}

/** Orders are sent again at each check-in of the agent until it has taken them. */
function takeOrders(core: Core, appliance: string) {
  return core.orders.toSend(appliance, core.nowMs(), ordersPerAnswerMax).map((order) => {
    core.orders.markSent(order.id, core.nowMs());
    return sealedAnew(envelopeShape.parse(JSON.parse(order.envelope)), core.keys.answer);
  });
}

function desiredFor(core: Core, appliance: string): DesiredInput {
  const row = core.appliances.find(appliance) ?? { id: appliance, name: appliance };
  const fleet = fleetOf(core);
  const decision = decide(factsOf(core, row), fleet, core.nowMs());
  const assigned = fleet.assigned(appliance).some((one) => one.component === 'app' && !one.withdrawn);
  return {
    release: decision.kind === 'offer' ? decision.release : null,
    ...(assigned ? { assigned } : {}),
    path: releasesPath,
    openForS,
    reasons: [...decision.reasons],
  };
}

function paceOf(core: Core, appliance: string): number {
  const share = createHash('sha256').update(appliance).digest().readUInt16BE(0) / 0xffff;
  return Number((core.policy.paceS * (1 - paceSpread / 2 + share * paceSpread)).toFixed(3));
}
