import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import { isTerminal } from '../rules/order-life.ts';
import { times } from '../rules/words.ts';
import type { OrderRow } from '../store/orders.ts';
import { orderTexts } from '../texts.ts';
import { requireOrder } from './send-order.ts';

/**
 * Cancels an order that its appliance is not known to have taken. An order that was sent cannot be called back: then
 * the answer says so, and the appliance's reports about it are noted.
 * @throws Refusal `order-unknown`, `order-begun`, `order-ended`
 */
export function cancelOrder(core: Core, id: string): OrderRow {
  const order = requireOrder(core, id);
  if (order.state === 'cancelled') return order;
  if (isTerminal(order.state)) {
    throw new Refusal('order-ended', orderTexts.hasEnded(order.state), orderTexts.hasEndedNext);
  }
  if (order.state !== 'queued' && order.state !== 'sent') {
    throw new Refusal('order-begun', orderTexts.hasBegun(order.state), orderTexts.hasBegunNext);
  }
  const error = order.state === 'queued' ? orderTexts.neverSent : orderTexts.perhapsTaken(times(order.deliveries));
  core.db.transaction(() => {
    core.orders.move(order.id, { state: 'cancelled', error, result: null, ended_at: core.nowMs() });
    addServerEvent(core, order.appliance, 'order-cancelled', orderTexts.cancelled(order.kind, order.id, error));
  })();
  return requireOrder(core, order.id);
}
