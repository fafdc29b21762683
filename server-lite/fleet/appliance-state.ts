import { type ApplianceFacts, type Decision, type Fleet, installedOf, isFresh } from './decide.ts';
import { isSettledRow } from './presence.ts';
import { ageText } from './words.ts';

export const applianceStates = ['ok', 'updating', 'attention', 'blocked', 'offline', 'retired'] as const;
export type ApplianceState = (typeof applianceStates)[number];

export interface StateView {
  readonly state: ApplianceState;
  readonly sentence: string;
}

/** What the server knows beside the check-ins. */
export interface Circumstances {
  readonly retired: boolean;
  /** Two devices use one of its keys. */
  readonly cloned: boolean;
  /** Its last crash of the agent that no recovery followed; null when there is none. */
  readonly crash: { readonly text: string } | null;
  /** A release that it tried and never finished (S31). */
  readonly alert: string | null;
}

/** One word and one sentence for an appliance, from its own data only (S50). */
export function stateOf(
  facts: ApplianceFacts,
  decision: Decision,
  circumstances: Circumstances,
  fleet: Fleet,
  nowMs: number,
): StateView {
  const { agent, updater } = facts.presence;
  const agentFresh = isFresh(agent, fleet, nowMs);
  const updaterFresh = isFresh(updater, fleet, nowMs);
  const on = installedOf(facts.presence, 'app')?.version ?? 'an unknown version';
  if (circumstances.retired) return { state: 'retired', sentence: 'it is retired; its keys are not taken any more' };
  if (!agentFresh && !updaterFresh) {
    const last = Math.max(agent?.atMs ?? 0, updater?.atMs ?? 0);
    if (last === 0) return { state: 'offline', sentence: 'enrolled, but it has never checked in' };
    return { state: 'offline', sentence: `offline: not heard from for ${ageText(nowMs - last)}; last on ${on}` };
  }
  if (circumstances.cloned) {
    return { state: 'attention', sentence: 'two devices use its key: find the copy and enrol it anew' };
  }
  if (!updaterFresh) {
    const waiting =
      decision.kind === 'hold' && decision.waiting !== null ? `; ${decision.waiting} can not reach it` : '';
    return { state: 'blocked', sentence: `on ${on}, and its updater does not check in${waiting}` };
  }
  const row = updater?.row ?? null;
  if (row === 'safe') return { state: 'attention', sentence: 'safe mode: no slot is valid, the factory agent runs' };
  if (row === 'reverting') return { state: 'updating', sentence: `going back to ${on}` };
  if (row === 'trial' || row === 'armed')
    return { state: 'updating', sentence: `a new version is on trial; ${on} is kept` };
  if (row !== null && row !== 'idle' && row !== 'closing') {
    return {
      state: 'updating',
      sentence: `an update is under way (${row}); ${on} ${isSettledRow(row) ? 'runs' : 'is kept'}`,
    };
  }
  const crashed = circumstances.crash === null ? '' : `: ${circumstances.crash.text}`;
  if (updater?.agentAlive === false) return { state: 'attention', sentence: `its agent ${on} is down${crashed}` };
  if (circumstances.crash !== null) return { state: 'attention', sentence: `its agent ${on} crashes${crashed}` };
  if (!agentFresh) return { state: 'attention', sentence: `its agent ${on} does not check in` };
  const failing = Object.entries(agent?.checks ?? {}).filter(([, status]) => status === 'fail');
  if (agent?.status === 'fail' || updater?.status === 'fail') {
    const which = failing.map(([name]) => name).join(', ') || 'its own health check';
    return { state: 'attention', sentence: `on ${on}; failing: ${which}` };
  }
  if (circumstances.alert !== null) return { state: 'attention', sentence: `on ${on}; ${circumstances.alert}` };
  return { state: 'ok', sentence: `${on} runs and is healthy` };
}
