import { transactionTexts } from '../../words/texts.ts';
import { freeDeviceSlot, keepWritten, revertDevice } from '../os-slot.ts';
import type { ComponentDriver, Step } from './driver.ts';

/**
 * Nothing here can switch a boot loader: what another updater has armed gets no verdict, and the agent does not notice.
 */
const notHere: Step = async () => ({
  kind: 'failed',
  reason: 'inconclusive',
  text: transactionTexts.cannotSwitchOs,
});

/** The operating system: its image is written to the slot that does not run, proven, and kept there. */
export const os: ComponentDriver = {
  freeSlot: freeDeviceSlot,
  ready: keepWritten,
  start: notHere,
  judge: notHere,
  commit: async () => {
    throw new RangeError('no slot to commit');
  },
  revert: revertDevice,
  serveAgain: async () => null,
  makesWay: () => false,
};
