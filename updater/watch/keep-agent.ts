import type { Appliance } from '../appliance/appliance.ts';
import type { AgentFacts } from '../processes/process-control.ts';

/**
 * After its burst, only the updater starts the committed agent again: at the end of each run, whatever the run was
 * about.
 * @returns whether it was started now
 */
export async function keepAgentUp({ processes }: Appliance, agent: AgentFacts | null): Promise<boolean> {
  if (agent?.state !== 'failed' && agent?.state !== 'inactive') return false;
  await processes.startAgent();
  return true;
}
