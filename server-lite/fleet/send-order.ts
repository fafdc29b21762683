import { newId } from '../../protocol/ids.ts';
import { harmlessOrderKinds, type OrderInput, operatorOrderKinds, orderPayloadType } from '../../protocol/order.ts';
import { sealEnvelope } from '../../protocol/trust/envelope.ts';
import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { OrderRow } from '../store/orders.ts';

/** Orders that one appliance may have open: beyond that nobody reads their results. */
const openOrdersMax = 32;

export interface NewOrder {
  readonly appliance: string;
  readonly kind: string;
  readonly args: Readonly<Record<string, string>>;
  /** For how long the appliance may still begin it. */
  readonly validForS: number;
}

/** Queues an order, signed by the answer key, which may only sign harmless kinds. */
export function sendOrder(core: Core, order: NewOrder): OrderRow {
  if (operatorOrderKinds.some((kind) => kind === order.kind)) {
    throw new Refusal(
      'order-kind-needs-operator-key',
      `${order.kind} must be signed by an operator's key, which the server does not hold`,
      'sign it where the operator key is; this server can not send it yet',
    );
  }
  const kind = harmlessOrderKinds.find((one) => one === order.kind);
  if (kind === undefined) {
    throw new Refusal(
      'order-kind-unknown',
      `there is no order ${order.kind}`,
      `one of: ${harmlessOrderKinds.join(', ')}`,
    );
  }
  if (core.orders.countOpen(order.appliance) >= openOrdersMax) {
    throw new Refusal(
      'orders-full',
      `${openOrdersMax} orders are open for this appliance`,
      'wait until some have ended',
    );
  }
  const nowMs = core.nowMs();
  const expiresAtS = Math.floor(nowMs / 1000) + order.validForS;
  const id = newId();
  const payload: OrderInput = { version: 1, id, appliance: order.appliance, kind, expiresAtS, args: { ...order.args } };
  core.orders.add({
    id,
    appliance: order.appliance,
    kind,
    args: JSON.stringify(order.args),
    envelope: JSON.stringify(sealEnvelope(orderPayloadType, payload, core.keys.answer.privateKey)),
    created_at: nowMs,
    expires_at: expiresAtS * 1000,
  });
  return requireOrder(core, id);
}

export function requireOrder(core: Core, id: string): OrderRow {
  const order = core.orders.find(id);
  if (order === undefined) throw new Refusal('order-unknown', `there is no order ${id}`, 'holdfast orders lists them');
  return order;
}

/** Ends every order whose time is over, as an event that somebody sees (S21). */
export function expireOrders(core: Core): void {
  const nowMs = core.nowMs();
  for (const order of core.orders.overdue(nowMs)) {
    core.db.transaction(() => {
      const error = order.sent_at === null ? 'it was never fetched' : `it was ${order.state} and never ended`;
      core.orders.move(order.id, { state: 'expired', error, result: null, ended_at: nowMs });
      addServerEvent(core, order.appliance, 'order-expired', `order ${order.kind} ${order.id} expired: ${error}`);
    })();
  }
}
