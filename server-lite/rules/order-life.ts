import { type reportedOrderStates, terminalOrderStates } from '../../protocol/event.ts';
import { type UnknownWord, wordOf } from '../../protocol/wire-enum.ts';
import { orderTexts } from '../texts.ts';
import { times } from './words.ts';

/** The life of an order: queued → sent → acknowledged → running → one of the terminal states. */
const openStates = ['queued', 'sent', 'acknowledged', 'running'] as const;
export type OrderState = (typeof openStates)[number] | (typeof terminalOrderStates)[number];

const ranks: readonly OrderState[] = openStates;
const terminal: ReadonlySet<string> = new Set(terminalOrderStates);

export function isTerminal(state: OrderState): boolean {
  return terminal.has(state);
}

export interface OrderReport {
  readonly state: (typeof reportedOrderStates)[number] | UnknownWord;
  readonly error?: string | undefined;
}

export type OrderStep =
  | { readonly outcome: 'moved'; readonly state: OrderState }
  /** Reported before, or older than what is known. */
  | { readonly outcome: 'same' }
  /** The order was cancelled, but the appliance had it by then. `reason` is for the operator. */
  | { readonly outcome: 'late'; readonly reason: string }
  /** A report that the server does not accept (S4); `reason` is for the operator. */
  | { readonly outcome: 'refused'; readonly reason: string };

/** What a report of an appliance does to an order. Terminal states are final. */
export function stepOrder(current: OrderState, report: OrderReport): OrderStep {
  if (typeof report.state !== 'string') {
    return {
      outcome: 'refused',
      reason: orderTexts.stateUnknown(JSON.stringify(wordOf(report.state))),
    };
  }
  // S4: a success that carries an error is a failure.
  const state = report.state === 'succeeded' && report.error ? 'failed' : report.state;
  if (current === 'cancelled') return { outcome: 'late', reason: orderTexts.hadItBefore(state) };
  if (isTerminal(current)) {
    if (state === current || !isTerminal(state)) return { outcome: 'same' };
    return { outcome: 'refused', reason: orderTexts.reportedAfterEnd(state, current) };
  }
  if (isTerminal(state)) return { outcome: 'moved', state };
  const rank = (one: OrderState): number => ranks.indexOf(one);
  return rank(state) > rank(current) ? { outcome: 'moved', state } : { outcome: 'same' };
}

/** An order's state as a sentence, the same on the dashboard and the command line. */
export function orderSentence(order: {
  readonly state: OrderState;
  readonly crashes: number;
  readonly error: string | null;
  readonly fault: string | null;
}): string {
  // They are counted from the sending of the order to its end.
  const words = isTerminal(order.state) ? orderTexts.crashedBefore : orderTexts.crashedSince;
  const crashed = order.crashes > 0 ? words(times(order.crashes)) : '';
  const error = order.error ? `: ${order.error}` : '';
  const fault = order.fault ? ` (${order.fault})` : '';
  return `${order.state}${crashed}${error}${fault}`;
}
