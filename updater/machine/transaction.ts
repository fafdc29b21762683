import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { UnexpectedEventError } from './event.ts';

/** The transaction in flight. @throws when there is none: a bug, since every row but idle, safe and closing has one */
export function transactionOf(state: StateBody): Transaction {
  if (state.transaction === null) throw new UnexpectedEventError(`row ${state.row} has no transaction`);
  return state.transaction;
}

export function change(state: StateBody, changes: Partial<Transaction>): StateBody {
  return { ...state, transaction: { ...transactionOf(state), ...changes } };
}

/** The row in which an appliance without a transaction rests. */
export function restOf({ safe }: StateBody): 'idle' | 'safe' {
  return safe === null ? 'idle' : 'safe';
}
