import type { Event } from '../../protocol/event.ts';
import { addServerEvent, type Core } from '../core.ts';
import { isTerminal, stepOrder } from '../fleet/order-life.ts';
import { clip } from '../fleet/words.ts';
import type { KeyRow } from '../store/appliances.ts';

/** Ends of a trial that say nothing against the release: a person wanted it, or the power kept failing. */
const harmlessRollbacks: ReadonlySet<string> = new Set(['by-hand', 'inconclusive']);
/** Refusals that say that what is published is not what was signed; the others are the appliance's own troubles. */
const trustRefusals: ReadonlySet<string> = new Set([
  'bad-bundle',
  'bad-chunk',
  'bad-manifest',
  'not-a-bundle',
  // An updater that does not work is one for all.
  'probe-failed',
  'revoked',
  'version-mismatch',
  'wrong-manifest',
]);
/** Of the metadata's own refusals, those that only say that it is late. */
const lateMetadata: ReadonlySet<string> = new Set(['tuf-expired', 'tuf-incomplete']);
/** Bytes of a sentence that becomes a rollout's reason. */
const reasonMax = 300;

/** What a stored event means to the server. Called once for each event, whatever is repeated. */
export function applyEvent(core: Core, key: KeyRow, event: Event): void {
  if (event.order !== undefined) applyOrderReport(core, key, event.order);
  if (event.kind === 'agent-crashed' && event.crash !== undefined) {
    core.orders.countCrashes(key.appliance, event.crash.count, event.crash.output || event.text);
  }
  if (key.role === 'updater' && event.release !== undefined) applyReleaseReport(core, key, event);
}

function applyOrderReport(core: Core, key: KeyRow, report: NonNullable<Event['order']>): void {
  const order = core.orders.find(report.id);
  if (order === undefined || order.appliance !== key.appliance) {
    addServerEvent(core, key.appliance, 'fault', `an order that it never had was reported: ${report.id}`);
    return;
  }
  const step = stepOrder(order.state, report);
  switch (step.outcome) {
    case 'same':
      return;
    case 'refused':
      core.orders.noteFault(order.id, step.reason);
      addServerEvent(core, key.appliance, 'fault', `order ${order.kind} ${order.id}: ${step.reason}`);
      return;
    case 'moved':
      core.orders.move(order.id, {
        state: step.state,
        error: report.error ?? null,
        result: report.result ?? null,
        ended_at: isTerminal(step.state) ? core.nowMs() : null,
      });
      return;
    default:
      step satisfies never;
  }
}

function saysUntrusted(reason: string): boolean {
  return trustRefusals.has(reason) || (reason.startsWith('tuf-') && !lateMetadata.has(reason));
}

/** One appliance that could not use a release stops its rollout for all, in that appliance's own words. */
function applyReleaseReport(core: Core, key: KeyRow, event: Event): void {
  const { kind, release } = event;
  const reason = release?.reason ?? '';
  const bad =
    (kind === 'release-rolled-back' && !harmlessRollbacks.has(reason)) ||
    (kind === 'release-refused' && saysUntrusted(reason));
  if (!bad || release === undefined) return;
  const name = core.appliances.find(key.appliance)?.name ?? key.appliance;
  const said =
    event.text || `${release.version} ${kind === 'release-refused' ? 'was refused' : 'was rolled back'} (${reason})`;
  for (const rollout of core.rollouts.list()) {
    if (rollout.manifest !== release.manifest || rollout.state !== 'running') continue;
    core.rollouts.setState(rollout.id, 'paused', clip(`${name}: ${said}`, reasonMax), core.nowMs());
    addServerEvent(
      core,
      key.appliance,
      'rollout-paused',
      `rollout ${rollout.id} of ${rollout.version} paused by itself`,
    );
  }
}
