import { incomingSlot } from '../../machine/component-rules.ts';
import { judgeTrial } from '../judge.ts';
import { revert, serveAgain } from '../revert.ts';
import { awaitWindow, commit, startTrial } from '../switch.ts';
import type { ComponentDriver } from './driver.ts';

/** The agent: it is stopped for the switch, and its work and answers on trial decide. */
export const app: ComponentDriver = {
  freeSlot: (_appliance, state) => incomingSlot(state, 'app'),
  ready: awaitWindow,
  start: startTrial,
  judge: judgeTrial,
  commit,
  revert,
  serveAgain,
  makesWay: () => false,
};
