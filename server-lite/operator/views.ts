import { z } from 'zod';
import { componentShape } from '../../protocol/component.ts';
import { compareVersions, versionShape } from '../../protocol/version.ts';
import type { Core } from '../core.ts';
import { orderSentence } from '../rules/order-life.ts';
import { sentenceCase } from '../rules/words.ts';
import type { EventRow } from '../store/events.ts';
import type { OrderRow } from '../store/orders.ts';
import type { ReleaseRow } from '../store/releases.ts';
import { readStored } from '../store/stored-json.ts';
import { operatorTexts } from '../texts.ts';
import { alone } from './alone.ts';
import {
  type EventView,
  eventViewShape,
  type OrderView,
  orderViewShape,
  type ReleaseView,
  releaseViewShape,
} from './shapes.ts';

/**
 * The lists make each view by itself, and check it by its shape: a damaged row is in its list with the reason, and does not
 * break what others read.
 */

const argsShape = z.record(z.string(), z.string());

export function orderViews(core: Core, rows: readonly OrderRow[]): OrderView[] {
  return rows.map((row) =>
    alone(
      core,
      operatorTexts.oneOrder(row.id),
      () => orderViewShape.parse(orderView(core, row)),
      (why) => unreadableOrder(row, why),
    ),
  );
}

/** Stands in for an order that cannot be shown. What is damaged may be of any type, whatever the row's type says. */
function unreadableOrder({ id, appliance, kind, state }: OrderRow, why: string): OrderView {
  const known = { id: String(id), appliance: String(appliance), name: String(appliance), kind: String(kind) };
  const times = { createdAtMs: 0, ageS: 0, expiresAtMs: 0, sentAtMs: null, endedAtMs: null };
  const ended = { deliveries: 0, crashes: 0, crashText: '', error: null, result: null, fault: null };
  return { ...known, ...times, ...ended, args: {}, state: String(state), sentence: sentenceCase(why) };
}

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

const shownRelease = releaseViewShape.extend({ component: componentShape, version: versionShape });

/** Newest version first; those that cannot be shown come last. */
export function releaseViews(core: Core): ReleaseView[] {
  const views = core.releases.list().map((row) =>
    alone<ReleaseView>(
      core,
      operatorTexts.oneRelease(row.component, row.version),
      () => shownRelease.parse(releaseView(row, core.attempts.failedOn(row.serial))),
      (why) => unreadableRelease(row, why),
    ),
  );
  const shown = views.filter(({ trouble }) => trouble === null);
  const others = views.filter(({ trouble }) => trouble !== null);
  return [...shown.sort((a, b) => compareVersions(b.version, a.version)), ...others];
}

function unreadableRelease({ component, version, manifest, withdrawn_at }: ReleaseRow, why: string): ReleaseView {
  const known = { component: String(component), version: String(version), manifest: String(manifest) };
  const unknown = { bundleBytes: 0, bundleSha256: '', publishedAtMs: 0, failedOn: 0 };
  return { ...known, ...unknown, withdrawn: withdrawn_at !== null, trouble: sentenceCase(why) };
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
    trouble: null,
  };
}

export function eventViews(core: Core, rows: readonly EventRow[]): EventView[] {
  return rows.map((row) =>
    alone(
      core,
      operatorTexts.oneEvent(row.serial),
      () => eventViewShape.parse(eventView(row)),
      (why) => unreadableEvent(row, why),
    ),
  );
}

function unreadableEvent({ serial, appliance, role, id, n, kind }: EventRow, why: string): EventView {
  const known = { serial, appliance: String(appliance), role: String(role), id: String(id), kind: String(kind) };
  return { ...known, n: Number(n), text: sentenceCase(why), receivedAtMs: 0, body: null };
}

function eventView(row: EventRow): EventView {
  const { serial, appliance, role, id, n, kind, text } = row;
  return { serial, appliance, role, id, n, kind, text, receivedAtMs: row.received_at, body: bodyOf(row) };
}

function bodyOf(row: EventRow): unknown {
  // An unreadable event was cut at its bound, and one may be damaged in the database: then it is no JSON.
  const body = readStored(z.unknown(), row.body);
  return body.outcome === 'read' && row.kind !== 'unreadable' ? body.value : row.body;
}
