import { incomingSlot } from '../../machine/component-rules.ts';
import { proveUpdater } from '../prove-updater.ts';
import { commitUpdater, isToBeStarted, judgeUpdater, revertUpdater, startUpdaterTrial } from '../updater-trial.ts';
import type { ComponentDriver } from './driver.ts';

/**
 * The updater: tried as a child of the previous one, then committed by its first whole run. The agent does not notice.
 */
export const updater: ComponentDriver = {
  freeSlot: (_appliance, state) => incomingSlot(state, 'updater'),
  ready: proveUpdater,
  start: startUpdaterTrial,
  judge: judgeUpdater,
  commit: commitUpdater,
  revert: revertUpdater,
  // The updater that reverts is already running.
  serveAgain: async () => null,
  makesWay: isToBeStarted,
};
