import type { Fact } from '../../protocol/event.ts';
import { type Core, tellOnce } from '../core.ts';
import { noteReleaseReport } from '../fleet/outcomes.ts';
import { isTerminal, stepOrder } from '../rules/order-life.ts';
import type { KeyRow } from '../store/appliances.ts';
import { orderTexts } from '../texts.ts';

/**
 * Applies what a stored event means, as far as it counts (its order belongs to its appliance). Called once for each
 * event.
 */
export function applyEvent(core: Core, key: KeyRow, event: Fact, atMs: number): void {
  if (key.role === 'updater') core.news.note(key.appliance, atMs, event);
  if (key.role === 'updater' && event.kind === 'release-rolled-back' && event.release !== undefined)
    core.rolledBack.note(key.appliance, event.release.manifest, event.release.reason ?? null, atMs);
  if (event.order !== undefined) applyOrderReport(core, key, event.order);
  if (event.kind === 'agent-crashed' && event.crash !== undefined) {
    core.orders.countCrashes(key.appliance, event.crash.count, event.crash.output || event.text);
  }
  if (key.role === 'updater' && event.release !== undefined) noteReleaseReport(core, key.appliance, event);
}

function applyOrderReport(core: Core, key: KeyRow, report: NonNullable<Fact['order']>): void {
  const order = core.orders.find(report.id);
  if (order === undefined) return;
  const step = stepOrder(order.state, report);
  switch (step.outcome) {
    case 'same':
      return;
    case 'late': {
      const { state, ended_at } = order;
      core.orders.move(order.id, { state, error: null, result: report.result ?? null, ended_at });
      core.orders.noteFault(order.id, report.error ? `${step.reason}: ${report.error}` : step.reason);
      return;
    }
    case 'refused':
      core.orders.noteFault(order.id, step.reason);
      // One for each order: an appliance can send it again and again.
      tellOnce(
        core,
        key.appliance,
        `refused-${order.id}`,
        'fault',
        orderTexts.reported(order.kind, order.id, step.reason),
      );
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
