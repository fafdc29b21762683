import type { AwaitedStart } from '../../protocol/check-in.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { currentNonce } from '../appliance/current-start.ts';
import { isAgentOnTrial } from '../machine/component-rules.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { type CheckInOutcome, checkIn, type Report } from '../server/check-in.ts';
import { isDue, loadRemembered, type Remembered } from '../server/remembered-answer.ts';
import { isLame, type Working } from '../verdict/standstill.ts';
import { type AgentLook, agentFacts, recentCrashes, reportCrashes } from '../watch/crashes.ts';
import { reportGivenUp } from '../watch/given-up.ts';
import { workingNow } from '../watch/watch-agent.ts';
import { needsAPerson, publishStatus, verdictWord, whyOf } from './publish-status.ts';

/** An agent that runs and works is healthy; for an agent on trial, or one just started, health is unknown. */
function statusOf(agent: AgentFacts | null, working: Working): Report['health']['status'] {
  if (agent === null) return 'unknown';
  if (agent.state !== 'active') return 'fail';
  if (isLame(working)) return 'fail';
  return working.word === 'works' ? 'ok' : 'unknown';
}

type Said = Pick<Report['health'], 'why' | 'verdict'>;

function report(state: StateBody, agent: AgentFacts | null, working: Working, words: Said): Report {
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
    health: { status: statusOf(agent, working), row: state.row, ...words, agentAlive: agent?.state === 'active' },
    quarantine: state.quarantine.map((entry) => entry.manifest),
  };
}

/** The start of the agent version on trial, whose check-ins the server has to see; null: none is on trial. */
function awaitedStart({ files, layout }: Appliance, state: StateBody): AwaitedStart | null {
  if (state.row !== 'trial' || !isAgentOnTrial(state) || state.transaction === null) return null;
  const nonce = currentNonce(files, layout);
  return nonce === null ? null : { start: sha256(nonce), version: state.transaction.version };
}

/** The server's newest word, and its last word on the awaited start, which others may have pushed out of an answer. */
function seenNow(before: RunMemory['seen'], told: RunMemory['seen'], awaited: AwaitedStart | null): RunMemory['seen'] {
  const known = awaited === null ? undefined : before[awaited.start];
  return awaited === null || known === undefined ? told : { [awaited.start]: known, ...told };
}

/**
 * News does not wait for the usual interval, but leaves this much between two check-ins and never shortens a back-off.
 */
const newsAfterMs = 2_000;

function isUrgent({ events, clock }: Appliance, remembered: Remembered): boolean {
  return events.waiting > 0 && remembered.failures === 0 && clock.monoMs() - remembered.triedMs >= newsAfterMs;
}

/** Checks in when it is due (or wanted), and always writes a fresh status.json; `look`: a look from just now. */
export async function reportToServer(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  options: { fresh: boolean; signal?: AbortSignal; look?: AgentLook },
): Promise<CheckInOutcome | null> {
  const agent = options.look === undefined ? await agentFacts(appliance) : options.look.facts;
  const remembered = loadRemembered(appliance.files, appliance.layout);
  // In a trial of the agent, crashes belong to the verdict.
  if (agent !== null && !isAgentOnTrial(state)) reportCrashes(appliance, state, agent);
  reportGivenUp(appliance, state);
  const crashes = agent === null ? 0 : recentCrashes(appliance, state, agent);
  let outcome: CheckInOutcome | null = null;
  if (memory.forced || isDue(remembered, appliance.clock, state.trial !== null) || isUrgent(appliance, remembered)) {
    memory.forced = false;
    const working = workingNow(appliance);
    // The server does not need to know whether the last check-in failed: it hears this one.
    const verdict = wordOf(verdictWord(state, agent, crashes, working, needsAPerson(appliance)));
    const why = whyOf(appliance, state, agent, crashes, working, memory.trialWaits);
    const awaited = awaitedStart(appliance, state);
    const said = { ...report(state, agent, working, { why, verdict }), ...(awaited === null ? {} : { awaited }) };
    outcome = await checkIn(appliance, said, options.fresh, options.signal);
    memory.serverReached = outcome.outcome === 'answered';
    if (outcome.outcome === 'answered') memory.seen = seenNow(memory.seen, outcome.seen, awaited);
    else appliance.log(`check-in: ${outcome.remembered.error?.message ?? outcome.outcome}`);
  }
  // The check-in may have taken a while, so the earlier look may be old.
  await publishStatus(appliance, state, outcome === null ? options.look : undefined, memory.trialWaits);
  return outcome;
}
