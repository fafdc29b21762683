import type { StateBody } from '../protocol/state-record.ts';
import type { Appliance, RunMemory } from './appliance.ts';
import type { Effect, MachineEvent } from './machine-event.ts';
import { judgeTrial } from './steps/judge.ts';
import { fetchRelease, resolveTransaction, writeRelease } from './steps/release.ts';
import { revert } from './steps/revert.ts';
import { awaitWindow, commit, snapshot, startTrial, stopAgent } from './steps/switch.ts';

/** The effects of the rows that a transaction walks through: loaded only where there is one. */
export async function transactionEffect(
  effect: Exclude<Effect, 'ask' | 'close'>,
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
): Promise<MachineEvent> {
  switch (effect) {
    case 'resolve':
      return resolveTransaction(appliance, state, memory);
    case 'fetch':
      return fetchRelease(appliance, state, memory);
    case 'write':
      return writeRelease(appliance, state, memory);
    case 'await-window':
      return awaitWindow(appliance, state, memory);
    case 'stop-agent':
      return stopAgent(appliance, memory);
    case 'snapshot':
      return snapshot(appliance, state);
    case 'start-trial':
      return startTrial(appliance);
    case 'judge':
      return judgeTrial(appliance, state, memory);
    case 'commit':
      return commit(appliance, state);
    case 'revert':
      return revert(appliance, state);
    default:
      return effect satisfies never;
  }
}
