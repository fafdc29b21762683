import { newId } from '../../protocol/ids.ts';
import { nearest } from '../../protocol/known-fields.ts';
import { harmlessOrderKinds, type OrderInput, operatorOrderKinds, orderPayloadType } from '../../protocol/order.ts';
import { argumentsProblem } from '../../protocol/order-arguments.ts';
import { payloadBytesMax, sealEnvelope } from '../../protocol/trust/envelope.ts';
import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { OrderRow } from '../store/orders.ts';
import { orderTexts } from '../texts.ts';

/** Orders that one appliance may have open: nobody reads the results of more. */
const openOrdersMax = 32;

export interface NewOrder {
  readonly appliance: string;
  readonly kind: string;
  readonly args: Readonly<Record<string, string>>;
  /** How long the appliance may still begin it. */
  readonly validForS: number;
}

/**
 * Queues an order, signed by the answer key, which may only sign harmless kinds.
 * @throws Refusal `order-kind-needs-operator-key`, `order-kind-unknown`, `order-arguments-wrong`, `orders-full`,
 * `order-too-large`
 */
export function sendOrder(core: Core, order: NewOrder): OrderRow {
  if (operatorOrderKinds.some((kind) => kind === order.kind)) {
    throw new Refusal(
      'order-kind-needs-operator-key',
      orderTexts.needsOperatorKey(order.kind),
      orderTexts.needsOperatorKeyNext,
    );
  }
  const kind = harmlessOrderKinds.find((one) => one === order.kind);
  if (kind === undefined) {
    throw new Refusal(
      'order-kind-unknown',
      orderTexts.kindUnknown(order.kind, nearest(order.kind, harmlessOrderKinds)),
      orderTexts.kindUnknownNext(harmlessOrderKinds.join(', ')),
    );
  }
  const problem = argumentsProblem(kind, order.args);
  if (problem !== null) throw new Refusal('order-arguments-wrong', problem, argumentsNext(kind));
  if (core.orders.countOpen(order.appliance) >= openOrdersMax) {
    throw new Refusal('orders-full', orderTexts.tooMany(openOrdersMax), orderTexts.tooManyNext);
  }
  const nowMs = core.nowMs();
  const expiresAtS = Math.floor(nowMs / 1000) + order.validForS;
  const id = newId();
  const payload: OrderInput = { version: 1, id, appliance: order.appliance, kind, expiresAtS, args: { ...order.args } };
  requireFits(payload);
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

function argumentsNext(kind: string): string {
  const args = kind === 'diagnostic' ? ' --arg query=readings --arg upTo=100' : '';
  return orderTexts.sendAsNext(kind, args);
}

/** Measured in the bytes that travel: a letter takes up to four of them, and a control character six. */
function requireFits(payload: OrderInput): void {
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes <= payloadBytesMax) return;
  throw new Refusal('order-too-large', orderTexts.tooLarge(payloadBytesMax, bytes), orderTexts.tooLargeNext);
}

export function requireOrder(core: Core, id: string): OrderRow {
  const order = core.orders.find(id);
  if (order === undefined) throw new Refusal('order-unknown', orderTexts.unknown(id), orderTexts.unknownNext);
  return order;
}

/** Ends every expired order, with an event that people see (S21). */
export function expireOrders(core: Core): void {
  const nowMs = core.nowMs();
  const overdue = core.orders.overdue(nowMs);
  // Looking at orders must not fail because another process writes; they end a little later.
  if (overdue.length === 0 || !core.turn.isFree()) return;
  for (const order of overdue) {
    core.db.transaction(() => {
      const error = order.sent_at === null ? orderTexts.neverFetched : orderTexts.neverEnded(order.state);
      core.orders.move(order.id, { state: 'expired', error, result: null, ended_at: nowMs });
      addServerEvent(core, order.appliance, 'order-expired', orderTexts.expired(order.kind, order.id, error));
    })();
  }
}
