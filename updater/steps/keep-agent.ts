import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { publishStatus } from './publish-status.ts';
import { lookAtAgent } from './watch-agent.ts';

/** After its burst only the updater starts the committed agent again: at the end of each run, whatever the run was about. */
export async function keepAgentUp(appliance: Appliance, state: StateBody, agent: AgentFacts | null): Promise<void> {
  if (agent?.state !== 'failed' && agent?.state !== 'inactive') return;
  await appliance.processes.startAgent();
  await publishStatus(appliance, state, await lookAtAgent(appliance));
}
