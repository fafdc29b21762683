import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { agentFacts } from './crashes.ts';
import { publishStatus } from './publish-status.ts';

/** After its burst only the updater starts the committed agent again: at the end of each run, whatever the run was about. */
export async function keepAgentUp(appliance: Appliance, state: StateBody): Promise<void> {
  const agent = await agentFacts(appliance);
  if (agent?.state !== 'failed' && agent?.state !== 'inactive') return;
  await appliance.processes.startAgent();
  await publishStatus(appliance, state);
}
