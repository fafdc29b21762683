import { ageText, withoutFullStop } from '../rules/words.ts';
import { applianceTexts } from '../texts.ts';
import type { Decision } from './decide.ts';
import { type ApplianceFacts, type Fleet, installedOf, isFresh } from './fleet.ts';
import { isSettledRow, type RolePresence } from './presence.ts';

export const applianceStates = ['ok', 'updating', 'attention', 'blocked', 'offline', 'retired'] as const;
export type ApplianceState = (typeof applianceStates)[number];

export interface StateView {
  readonly state: ApplianceState;
  readonly sentence: string;
}

/** What the server knows beyond the check-ins. */
export interface Circumstances {
  readonly retired: boolean;
  /** Two machines use its identity, as a sentence; null: no sign of that. */
  readonly clone: string | null;
  /** The last crash of its present version, if no recovery followed; null: none. */
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
  const on = installedOf(facts.presence, 'app')?.version ?? applianceTexts.unknownVersion;
  if (circumstances.retired) return { state: 'retired', sentence: applianceTexts.stateRetired };
  if (!agentFresh && !updaterFresh) {
    const last = Math.max(agent?.atMs ?? 0, updater?.atMs ?? 0);
    if (last === 0) return { state: 'offline', sentence: applianceTexts.neverCheckedIn };
    return { state: 'offline', sentence: applianceTexts.offline(ageText(nowMs - last), on) };
  }
  if (circumstances.clone !== null) return { state: 'attention', sentence: circumstances.clone };
  if (!updaterFresh) {
    const waiting =
      decision.kind === 'hold' && decision.waiting !== null ? applianceTexts.waitingUnreached(decision.waiting) : '';
    return { state: 'blocked', sentence: applianceTexts.updaterSilent(on, waiting) };
  }
  const row = updater?.row ?? null;
  if (updater !== null && row === 'safe') return { state: 'attention', sentence: safeSentence(updater) };
  if (row !== null && row !== 'idle' && row !== 'closing') {
    // The updater names the versions: this server would say it once more, in other words.
    return { state: 'updating', sentence: withoutFullStop(updater?.why ?? '') || updatingSentence(row, on) };
  }
  // An updater's own word is believed, so that page, command line and server say the same.
  const own = ownWords(updater);
  if (own !== null) return { state: 'attention', sentence: own };
  const crashed = circumstances.crash === null ? '' : `: ${circumstances.crash.text}`;
  if (updater?.agentAlive === false) return { state: 'attention', sentence: applianceTexts.agentDown(on, crashed) };
  if (circumstances.crash !== null && updater?.verdict !== 'ok')
    return { state: 'attention', sentence: applianceTexts.agentCrashes(on, crashed) };
  if (!agentFresh) return { state: 'attention', sentence: applianceTexts.agentSilent(on) };
  const failing = Object.entries(agent?.checks ?? {}).filter(([, status]) => status === 'fail');
  if (agent?.status === 'fail' || updater?.status === 'fail') {
    const which = failing.map(([name]) => name).join(', ') || applianceTexts.ownHealthCheck;
    return { state: 'attention', sentence: applianceTexts.failing(on, which) };
  }
  // Unknown is not healthy; an agent reports `warn` when it works in spite of something.
  const unclear = [updater, agent].find((one) => one?.status !== 'ok' && one?.status !== 'warn');
  if (unclear !== undefined) return { state: 'attention', sentence: applianceTexts.unclear(on) };
  if (circumstances.alert !== null)
    return { state: 'attention', sentence: applianceTexts.alert(on, circumstances.alert) };
  return { state: 'ok', sentence: applianceTexts.healthy(on) };
}

function updatingSentence(row: string, on: string): string {
  if (row === 'reverting') return applianceTexts.goingBack(on);
  if (row === 'trial' || row === 'armed') return applianceTexts.onTrial(on);
  return applianceTexts.updating(row, on, isSettledRow(row));
}

const needyWords: ReadonlySet<string> = new Set(['attention', 'blocked', 'unknown']);

/** The updater's own sentence, if its word is that not all is well; null: all is well, or it says nothing. */
function ownWords(updater: RolePresence | null): string | null {
  const { verdict = null, why = null } = updater ?? {};
  return verdict !== null && needyWords.has(verdict) && why !== null && why !== '' ? withoutFullStop(why) : null;
}

/** The updater knows why, and whether the factory agent runs instead: its own words, if it sent them. */
function safeSentence({ why, agentAlive }: RolePresence): string {
  if (why !== null && why !== '')
    return /^safe mode/i.test(why) ? why : applianceTexts.safeMode(`${why.charAt(0).toLowerCase()}${why.slice(1)}`);
  const runs = {
    true: applianceTexts.agentInItsPlace,
    false: applianceTexts.noAgent,
    null: applianceTexts.agentNotKnown,
  };
  return applianceTexts.notStartable(runs[`${agentAlive}`]);
}
