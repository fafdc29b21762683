import { z } from 'zod';
import { type Core, factsOf, fleetOf } from '../core.ts';
import {
  type ApplianceFacts,
  decide,
  everyoneStage,
  type Fleet,
  hasProven,
  isAssignedElsewhere,
  isFresh,
} from '../fleet/decide.ts';
import { orderSentence } from '../fleet/order-life.ts';
import { reasonsText, sentenceCase } from '../fleet/words.ts';
import type { EventRow } from '../store/events.ts';
import type { OrderRow } from '../store/orders.ts';
import type { ReleaseRow } from '../store/releases.ts';
import type { Rollout } from '../store/rollouts.ts';
import type { EventView, OrderView, ReleaseView, RolloutView } from './shapes.ts';

const argsShape = z.record(z.string(), z.string());

export function orderView(core: Core, row: OrderRow): OrderView {
  return {
    id: row.id,
    appliance: row.appliance,
    name: core.appliances.find(row.appliance)?.name ?? row.appliance,
    kind: row.kind,
    args: argsShape.parse(JSON.parse(row.args)),
    state: row.state,
    sentence: orderSentence(row),
    createdAtMs: row.created_at,
    ageS: Math.round((core.nowMs() - row.created_at) / 1000),
    expiresAtMs: row.expires_at,
    sentAtMs: row.sent_at,
    endedAtMs: row.ended_at,
    deliveries: row.deliveries,
    crashes: row.crashes,
    crashText: row.crash_text,
    error: row.error,
    result: row.result,
    fault: row.fault,
  };
}

export function releaseView(row: ReleaseRow): ReleaseView {
  return {
    component: row.component,
    version: row.version,
    manifest: row.manifest,
    bundleBytes: row.bundle_bytes,
    bundleSha256: row.bundle_sha256,
    publishedAtMs: row.published_at,
    withdrawn: row.withdrawn_at !== null,
  };
}

export function eventView(row: EventRow): EventView {
  const { appliance, role, id, n, kind, text } = row;
  return { appliance, role, id, n, kind, text, receivedAtMs: row.received_at, body: bodyOf(row) };
}

function bodyOf(row: EventRow): unknown {
  // An event that could not be read was cut at its bound, so it need not be JSON.
  return row.kind === 'unreadable' ? row.body : JSON.parse(row.body);
}

/** A rollout with how far it has come, from what the appliances are. */
export function rolloutView(core: Core, rollout: Rollout): RolloutView {
  const nowMs = core.nowMs();
  const fleet = fleetOf(core);
  const rows = core.appliances.list().filter((row) => row.retired_at === null);
  const facts = rows.map((row) => factsOf(core, row));
  const proven = facts.filter((one) => hasProven(one, rollout));
  const outstanding = facts.filter((one) => !hasProven(one, rollout));
  const reachable = outstanding.filter(
    (one) => isFresh(one.presence.updater, fleet, nowMs) && !isAssignedElsewhere(one.id, rollout, fleet),
  );
  const everyone = everyoneStage(rollout, fleet, nowMs);
  const waiting = outstanding.map((one) => ({ name: one.name, why: outstandingWhy(one, rollout, fleet, nowMs) }));
  const through = rollout.state === 'running' && reachable.length === 0;
  const stage = !everyone.open ? 'canary' : through ? 'done' : 'everyone';
  const count = `${proven.length} of ${facts.length} ${facts.length === 1 ? 'appliance has' : 'appliances have'} proven it`;
  const held = everyone.open ? '' : `; ${everyone.reason}`;
  const sentence = rollout.state === 'paused' ? `paused: ${rollout.reason}` : `${count}${held}`;
  return {
    id: rollout.id,
    component: rollout.component,
    version: rollout.version,
    manifest: rollout.manifest,
    state: rollout.state,
    reason: rollout.reason,
    stage,
    sentence: rollout.state === 'paused' ? sentenceCase(sentence) : reasonsText([sentence]),
    canaries: rollout.canaries.map((id) => core.appliances.find(id)?.name ?? id),
    proven: proven.map(({ name }) => name),
    waiting,
    startedAtMs: rollout.startedAtMs,
    ageS: Math.round((nowMs - rollout.startedAtMs) / 1000),
  };
}

/** Why an appliance has not proven it yet, in a few words. */
function outstandingWhy(one: ApplianceFacts, rollout: Rollout, fleet: Fleet, nowMs: number): string {
  if (isAssignedElsewhere(one.id, rollout, fleet)) return 'another release is assigned to it';
  if (!isFresh(one.presence.updater, fleet, nowMs)) return 'its updater does not check in';
  if (one.presence.quarantine.includes(rollout.manifest)) return 'in quarantine there';
  const decision = decide(one, fleet, nowMs);
  return decision.kind === 'offer' && decision.rollout === rollout.id ? 'under way' : 'held';
}
