import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { type CheckInOutcome, checkIn, isDue, loadRemembered, type Remembered, type Report } from '../check-in.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { isLame, type Working } from '../standstill.ts';
import { type AgentLook, agentFacts, recentCrashes, reportCrashes } from './crashes.ts';
import { reportGivenUp } from './given-up.ts';
import { publishStatus, whyOf } from './publish-status.ts';
import { workingNow } from './watch-agent.ts';

/** What lives and works is healthy; of what is on trial, or has just been started, that is not known. */
function statusOf(agent: AgentFacts | null, working: Working): Report['health']['status'] {
  if (agent === null) return 'unknown';
  if (agent.state !== 'active') return 'fail';
  if (isLame(working)) return 'fail';
  return working.word === 'works' ? 'ok' : 'unknown';
}

function report(state: StateBody, agent: AgentFacts | null, working: Working, why: string): Report {
  return {
    have: {
      app: {
        version: state.app.committed.version,
        slot: state.app.committed.slot,
        manifest: state.app.committed.manifest,
      },
      updater: {
        version: state.updater.committed.version,
        slot: state.updater.committed.slot,
        manifest: state.updater.committed.manifest,
      },
    },
    health: { status: statusOf(agent, working), row: state.row, why, agentAlive: agent?.state === 'active' },
    quarantine: state.quarantine.map((entry) => entry.manifest),
  };
}

/** News does not wait for the pace, but leaves this much between two check-ins, and never works against a back-off. */
const newsAfterMs = 2_000;

function isUrgent({ events, clock }: Appliance, remembered: Remembered): boolean {
  return events.waiting > 0 && remembered.failures === 0 && clock.monoMs() - remembered.triedMs >= newsAfterMs;
}

/** One check-in when it is due (or wanted), and a fresh status.json in any case; `look`: one of just now. */
export async function reportToServer(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  options: { fresh: boolean; signal?: AbortSignal; look?: AgentLook },
): Promise<CheckInOutcome | null> {
  const agent = options.look === undefined ? await agentFacts(appliance) : options.look.facts;
  const remembered = loadRemembered(appliance.files, appliance.layout);
  // In a trial of the agent crashes belong to the verdict.
  if (agent !== null && state.trial?.component !== 'app') reportCrashes(appliance, state, agent);
  reportGivenUp(appliance, state);
  const crashes = agent === null ? 0 : recentCrashes(appliance, agent);
  let outcome: CheckInOutcome | null = null;
  if (memory.forced || isDue(remembered, appliance.clock) || isUrgent(appliance, remembered)) {
    memory.forced = false;
    const working = workingNow(appliance);
    const said = report(state, agent, working, whyOf(appliance, state, agent, crashes, working));
    outcome = await checkIn(appliance, said, options.fresh, options.signal);
    memory.serverReached = outcome.outcome === 'answered';
    if (outcome.outcome === 'answered') memory.seen = { ...memory.seen, ...outcome.seen };
    else appliance.log(`check-in: ${outcome.remembered.error?.message ?? outcome.outcome}`);
  }
  // The server may have taken its time.
  await publishStatus(appliance, state, outcome === null ? options.look : undefined);
  return outcome;
}
