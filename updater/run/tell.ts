import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import type { MachineEvent } from '../machine/event.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { publishStatus } from '../status/publish-status.ts';
import { reportToServer } from '../status/report.ts';
import { agentFacts } from '../watch/crashes.ts';
import { keepAgentUp } from '../watch/keep-agent.ts';
import { lookAtAgent } from '../watch/watch-agent.ts';
import { told } from './told.ts';

/** Reports a step as {@link told} says. `after` is on disk. */
export async function tell(
  appliance: Appliance,
  memory: RunMemory,
  before: StateBody,
  event: MachineEvent,
  after: StateBody,
): Promise<void> {
  const { whom, keepsAgentUp } = told(before, event);
  if (whom === 'server') await reportToServer(appliance, after, memory, { fresh: false });
  if (whom === 'people') await publishStatus(appliance, after);
  if (keepsAgentUp) await keepUpAndTell(appliance, after, await agentFacts(appliance));
}

/** At the end of a run: starts an agent that is down, and shows people that it runs. */
export async function keepUpAndTell(appliance: Appliance, state: StateBody, agent: AgentFacts | null): Promise<void> {
  if (await keepAgentUp(appliance, agent)) await publishStatus(appliance, state, await lookAtAgent(appliance));
}
