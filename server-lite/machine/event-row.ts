import { sha256 } from '../../protocol/digest.ts';
import { type Event, type Fact, factOf } from '../../protocol/event.ts';
import type { Core } from '../core.ts';
import type { KeyRow } from '../store/appliances.ts';
import type { EventRow } from '../store/events.ts';
import { eventTexts } from '../texts.ts';
import type { ReceivedEvent } from './read-check-in.ts';

/** What counts of an event. */
interface Counted {
  readonly fact: Fact;
  /** The order that it reports although the order is not its appliance's: it counts for nothing. */
  readonly strangeOrder: string | null;
}

function countedOf(core: Pick<Core, 'orders'>, { appliance, role }: KeyRow, event: Event): Counted {
  const fact = factOf(role, event);
  const { order, ...others } = fact;
  if (order === undefined || core.orders.find(order.id)?.appliance === appliance) return { fact, strangeOrder: null };
  return { fact: { ...others, kind: fact.kind === 'order' ? 'note' : fact.kind }, strangeOrder: order.id };
}

export type Incoming = { readonly row: EventRowOf } & (
  | { readonly kind: 'readable'; readonly event: Event; readonly counted: Counted }
  | { readonly kind: 'unreadable'; readonly why: string }
);
type EventRowOf = Omit<EventRow, 'serial' | 'received_at' | 'role'> & Pick<KeyRow, 'role'>;

/** An event, with what counts of it and the row to store. */
export function incomingOf(core: Pick<Core, 'orders'>, key: KeyRow, one: ReceivedEvent): Incoming {
  const { appliance, role } = key;
  if (one.kind === 'unreadable') {
    const { n, why, raw } = one;
    // Its own id may be the fault; with the digest of its bytes a repetition is still harmless.
    const id = sha256(`${n} ${raw || `${one.id} ${why}`}`);
    return { kind: 'unreadable', why, row: { appliance, role, id, n, kind: 'unreadable', text: why, body: raw } };
  }
  const { event, json } = one;
  const { id, n } = event;
  const counted = countedOf(core, key, event);
  const { kind } = counted.fact;
  const row = { appliance, role, id, n, kind, text: textOf(counted), body: json };
  return { kind: 'readable', event, counted, row };
}

function textOf({ fact, strangeOrder }: Counted): string {
  if (fact.kind !== 'note') return fact.text;
  const strange = strangeOrder === null ? [] : [eventTexts.strangeOrder(strangeOrder)];
  return [...(fact.notCounted?.words ?? []), ...strange, ...(fact.text === '' ? [] : [fact.text])].join(': ');
}
