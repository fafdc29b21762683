import { safeTextMax } from '../protocol/state-record.ts';
import { type Appliance, freshMemory } from './appliance.ts';
import { recoveredState } from './recover-state.ts';
import { keepAgentUp } from './steps/keep-agent.ts';
import { reportToServer } from './steps/report.ts';

/**
 * A run of an updater whose records are those of a newer one, as after a fall back to factory: it changes nothing, because
 * it does not know what it would break. It keeps the agent up, which launch starts by the stable prefix of the record,
 * checks in, and says what is the matter.
 */
export async function standBy(appliance: Appliance, why: string): Promise<void> {
  const known = recoveredState(appliance.files, appliance.layout);
  if (known === null) return;
  const safe = { reason: 'records-newer', tx: 0, text: why.slice(0, safeTextMax) } as const;
  const view = { ...known.state, row: 'safe', transaction: null, trial: null, safe } as const;
  await reportToServer(appliance, view, freshMemory(false), { fresh: false });
  await keepAgentUp(appliance, view);
}
