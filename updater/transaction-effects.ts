import type { StateBody } from '../protocol/state-record.ts';
import type { Appliance, RunMemory } from './appliance.ts';
import type { Effect, MachineEvent } from './machine-event.ts';
import { judgeTrial } from './steps/judge.ts';
import { proveUpdater } from './steps/prove-updater.ts';
import { putBack } from './steps/put-back.ts';
import { fetchRelease, resolveTransaction, writeRelease } from './steps/release.ts';
import { revert } from './steps/revert.ts';
import { awaitWindow, commit, snapshot, startTrial, stopAgent } from './steps/switch.ts';
import { judgeUpdater, revertUpdater, startUpdaterTrial } from './steps/updater-trial.ts';

/** The effects of the rows that a transaction walks through: loaded only where there is one. */
export async function transactionEffect(
  effect: Exclude<Effect, 'ask' | 'close'>,
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
): Promise<MachineEvent> {
  const isOfUpdater = state.transaction?.component === 'updater';
  switch (effect) {
    case 'resolve':
      return resolveTransaction(appliance, state, memory);
    case 'fetch':
      return fetchRelease(appliance, state, memory);
    case 'write':
      return writeRelease(appliance, state, memory);
    case 'await-window':
      return isOfUpdater ? proveUpdater(appliance, state, memory) : awaitWindow(appliance, state, memory);
    case 'stop-agent':
      return stopAgent(appliance, memory);
    case 'snapshot':
      return snapshot(appliance, state);
    case 'put-back':
      return putBack(appliance, state);
    case 'start-trial':
      return isOfUpdater ? startUpdaterTrial(appliance, state, memory) : startTrial(appliance);
    case 'judge':
      return isOfUpdater ? judgeUpdater(appliance, state, memory) : judgeTrial(appliance, state, memory);
    case 'commit':
      return commit(appliance, state);
    case 'revert':
      return isOfUpdater ? revertUpdater(appliance, state) : revert(appliance, state);
    default:
      return effect satisfies never;
  }
}
