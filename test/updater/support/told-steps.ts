import type { StateBody } from '../../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../../../updater/appliance/appliance.ts';
import type { MachineEvent } from '../../../updater/machine/event.ts';
import { next } from '../../../updater/machine/table.ts';
import { tell } from '../../../updater/run/tell.ts';
import { reportToServer } from '../../../updater/status/report.ts';
import type { Step } from '../../../updater/transaction/drivers/driver.ts';
import { judgeTrial as judge } from '../../../updater/transaction/judge.ts';
import { resolveTransaction as resolve } from '../../../updater/transaction/release.ts';
import { awaitWindow as wait } from '../../../updater/transaction/switch.ts';

/** A step as the loop takes it: it may ask the server, and what is to be told of its event is told. */
const asInTheLoop =
  (step: Step) =>
  async (appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> => {
    const event = await step(appliance, state, memory, (who, about, how) => reportToServer(who, about, memory, how));
    await tell(appliance, memory, state, event, next(state, event));
    return event;
  };

export const resolveTransaction = asInTheLoop(resolve);
export const awaitWindow = asInTheLoop(wait);
export const judgeTrial = asInTheLoop(judge);
