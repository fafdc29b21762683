import { z } from 'zod';
import type { Core } from '../core.ts';
import { orderSentence } from '../rules/order-life.ts';
import type { EventRow } from '../store/events.ts';
import type { OrderRow } from '../store/orders.ts';
import type { ReleaseRow } from '../store/releases.ts';
import { readStored } from '../store/stored-json.ts';
import type { EventView, OrderView, ReleaseView } from './shapes.ts';

const argsShape = z.record(z.string(), z.string());

export function orderView(core: Core, row: OrderRow): OrderView {
  return {
    id: row.id,
    appliance: row.appliance,
    name: core.appliances.find(row.appliance)?.name ?? row.appliance,
    kind: row.kind,
    args: argsOf(row),
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

function argsOf(row: OrderRow): OrderView['args'] {
  const args = readStored(argsShape, row.args);
  return args.outcome === 'read' ? args.value : { damaged: args.why };
}

/** @param failedOn on how many appliances it failed */
export function releaseView(row: ReleaseRow, failedOn: number): ReleaseView {
  return {
    component: row.component,
    version: row.version,
    manifest: row.manifest,
    bundleBytes: row.bundle_bytes,
    bundleSha256: row.bundle_sha256,
    publishedAtMs: row.published_at,
    withdrawn: row.withdrawn_at !== null,
    failedOn,
  };
}

export function eventView(row: EventRow): EventView {
  const { serial, appliance, role, id, n, kind, text } = row;
  return { serial, appliance, role, id, n, kind, text, receivedAtMs: row.received_at, body: bodyOf(row) };
}

function bodyOf(row: EventRow): unknown {
  // An unreadable event was cut at its bound, and one may be damaged in the database: then it is no JSON.
  const body = readStored(z.unknown(), row.body);
  return body.outcome === 'read' && row.kind !== 'unreadable' ? body.value : row.body;
}
