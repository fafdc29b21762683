import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import type { Effect } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { Found, Recovered } from '../outcome/outcome.ts';
import type { AskServer } from './ask-server.ts';
import { driverOf } from './driver-of.ts';
import { putBack } from './put-back.ts';
import { fetchRelease, resolveTransaction, writeRelease } from './release.ts';
import { snapshot, stopAgent } from './switch.ts';

/** The effects of the rows of a transaction: loaded only when there is one. */
export async function transactionEffect(
  effect: Exclude<Effect, 'ask' | 'close'>,
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<Found> {
  const driver = driverOf(transactionOf(state));
  switch (effect) {
    case 'resolve':
      return resolveTransaction(appliance, state, memory);
    case 'fetch':
      return fetchRelease(appliance, state, memory);
    case 'write':
      return writeRelease(appliance, state, memory);
    case 'await-window':
      return driver.ready(appliance, state, memory, askServer);
    case 'stop-agent':
      return stopAgent(appliance, memory);
    case 'snapshot':
      return snapshot(appliance, state);
    case 'put-back':
      return putBack(appliance, state);
    case 'start-trial':
      return driver.start(appliance, state, memory, askServer);
    case 'judge':
      return driver.judge(appliance, state, memory, askServer);
    case 'commit':
      return driver.commit(appliance, state, memory, askServer);
    case 'revert':
      return driver.revert(appliance, state, memory, askServer);
    default:
      return effect satisfies never;
  }
}

/** After the record says that `before` was reverted. */
export async function serveAgain(
  appliance: Appliance,
  before: StateBody,
  memory: RunMemory,
): Promise<Recovered | null> {
  return before.transaction === null ? null : driverOf(before.transaction).serveAgain(appliance, memory);
}

/** Must this run end, so that launch starts the version on trial? */
export function makesWay(appliance: Appliance, state: StateBody): boolean {
  return state.trial !== null && driverOf(state.trial).makesWay(appliance, state);
}
