import type { FailureReason, Quarantined, StateBody } from '../protocol/state-record.ts';
import { compareVersions } from '../protocol/version.ts';
import { ageWord } from './age-word.ts';
import type { AgentFacts } from './processes/process-control.ts';
import { isLame, standstillText, type Working } from './standstill.ts';

/** What each named reason means, for people; the same words on page, command line and dashboard. */
export const reasonTexts: Readonly<Record<FailureReason, string>> = {
  'crash-loop': 'it crashed or hung at each of its starts',
  flap: 'it was healthy and then crashed again and again',
  'wrong-version': 'it reported another version than its release',
  stalled: 'its work stood still while it went on answering',
  'no-answer': 'it did not answer the health check',
  'state-not-migrated': 'it did not finish migrating its state',
  regression: 'a check failed that was good before',
  'server-not-reached': 'it could not reach the server, which it could before',
  'not-seen-by-server': 'the server did not see two check-ins of it',
  deadline: 'it was not healthy for long enough before its deadline',
  inconclusive: 'its trial could not be judged',
  'by-hand': 'a person went back from it',
  'slot-damaged': 'its files were damaged',
};

const sentenceMax = 600;

export interface Situation {
  readonly state: StateBody;
  readonly agent: AgentFacts | null;
  /** Recent crashes of the committed version. */
  readonly crashes: number;
  /** What is known of the work of the start that runs. */
  readonly working: Working;
  readonly reasons: readonly string[];
  readonly serverError: string | null;
  /** What stopped the transaction in flight, the last time; without one, why the wanted release was refused. */
  readonly trouble: string | null;
  /** Why the switch waits for the agent; absent or null: it does not. */
  readonly deferral?: string | null;
  /** Where what the newest failed trial left is kept; null: nowhere. */
  readonly kept: string | null;
  /** What becomes of a crash loop of the committed version; absent or null: nothing was decided of one. */
  readonly stays?: string | null;
}

/** The newest rollback, as long as nothing newer than what was left has been committed since. */
export function lastRollback(state: StateBody, component: 'app' | 'updater' = 'app'): Quarantined | undefined {
  const newest = state.quarantine.findLast((entry) => (entry.component ?? 'app') === component);
  const runs = state[component].committed.version;
  return newest !== undefined && compareVersions(newest.version, runs) > 0 ? newest : undefined;
}

/** Without an answer from before the switch nothing can be compared: then only what holds by itself counts. */
export function withoutBaseline({ transaction }: StateBody): string {
  if (transaction === null || transaction.component !== 'app' || transaction.baseline !== null) return '';
  return ' Nothing answered before the switch, so no check is compared with before.';
}

/** What goes on now; null: nothing does. */
export function during(state: StateBody): string | null {
  const { transaction } = state;
  if (transaction === null) return null;
  const { component, kind, healthyMs, trial, data } = transaction;
  const isOfAgent = component === 'app';
  const version = isOfAgent ? transaction.version : `${component} ${transaction.version}`;
  const seconds = (ms: number) => `${Math.floor(ms / 1000)} s`;
  switch (state.row) {
    case 'resolved':
    case 'fetching':
      return `${version} is being fetched.`;
    case 'writing':
    case 'sealed':
      return `${version} is being prepared; ${state.app.committed.version} runs.`;
    case 'quiesced':
    case 'snapped':
    case 'returning':
    case 'armed':
      if (kind !== 'return') return `Switching to ${version}.`;
      return `Going back to ${version}${data === undefined ? '' : `, with its data of ${ageWord(data.ageH)} ago`}.`;
    case 'trial':
      if (!isOfAgent)
        return `${version} is on trial: its first whole run decides; ${state.app.committed.version} runs.`;
      return `${version} is on trial: healthy for ${seconds(healthyMs)} of ${seconds(trial.healthyMs)}.${withoutBaseline(state)}`;
    case 'committing':
      return `${version} passed its trial.`;
    case 'reverting':
      return `${version} failed its trial; going back to ${state[isOfAgent ? 'app' : 'updater'].committed.version}.`;
    case 'idle':
    case 'closing':
    case 'safe':
      return null;
    default:
      return state.row satisfies never;
  }
}

function crashing({ state, agent, crashes, working }: Situation): string | null {
  const { version } = state.app.committed;
  if (agent === null) return `Whether ${version} runs is not known: process control does not answer.`;
  if (crashes === 0) {
    if (agent.state === 'starting') return `${version} is being started.`;
    if (agent.state !== 'active') return `${version} is not running.`;
    return isLame(working) ? `${version} ${standstillText(working)}.` : null;
  }
  const times = crashes === 1 ? 'once' : `${crashes} times`;
  const exit = agent.lastExit;
  return `${version} crashed ${times}${exit === null ? '' : ` (last exit: ${exit.signal ?? exit.code})`}.`;
}

/** The agent has not noticed anything of it. */
function updaterRolledBack(state: StateBody): string | null {
  const entry = lastRollback(state, 'updater');
  if (entry === undefined) return null;
  const why = reasonTexts[entry.verdict as FailureReason] ?? entry.verdict;
  return `Updater ${entry.version} was rolled back, because ${why} (${entry.verdict}); ${state.updater.committed.version} updates on.`;
}

function rolledBack(state: StateBody): string | null {
  const entry = lastRollback(state);
  return entry === undefined ? null : quarantinedSentence(state, entry);
}

/** Why a release is not taken by itself any more. */
export function quarantinedSentence(state: StateBody, entry: Quarantined): string {
  const runs = `${state.app.committed.version} runs`;
  if (entry.reason === 'by hand') return `${runs}: a person went back from ${entry.version}.`;
  const verdict = entry.verdict as FailureReason;
  return `${runs}: ${entry.version} was rolled back, because ${reasonTexts[verdict] ?? entry.verdict} (${entry.verdict}).`;
}

/** With a capital at its begin and a full stop at its end. */
export function sentence(text: string): string {
  const trimmed = text.trim().replace(/\.$/, '');
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}.`;
}

/** What a person must know before anything else, and what helps. */
function safeSentences({ safe, row, app }: StateBody): string[] {
  if (row !== 'safe' && safe === null) return [];
  const { version } = app.committed;
  if (safe?.reason === 'records-newer') {
    return [`${sentence(safe.text)} Nothing is changed until a newer updater runs, or somebody brings a bundle.`];
  }
  const why =
    safe?.reason === 'state-lost'
      ? `the data of ${version} could not be brought back after a trial`
      : `the files of ${version} are damaged`;
  const reason = safe === null ? 'no proven version can be started' : `${why} (${safe.text})`;
  return [`Safe mode: ${reason}. The factory agent runs on a state of its own; nothing is erased. Install a bundle.`];
}

/** Why this appliance is on what it is on, in one sentence or two. */
export function whySentence(situation: Situation): string {
  const { state, reasons, serverError } = situation;
  const safe = safeSentences(state);
  const now = during(state);
  if (now !== null) {
    const trouble = situation.trouble === null ? [] : [sentence(`the last try stopped: ${situation.trouble}`)];
    const { deferral = null } = situation;
    const waits = deferral === null ? [] : [sentence(deferral)];
    return [...safe, now, ...waits, ...trouble].join(' ').slice(0, sentenceMax);
  }
  const [crash, back] = [crashing(situation), rolledBack(state)];
  const kept = back === null || situation.kept === null ? null : sentence(situation.kept);
  const stays = crash === null || !situation.stays ? null : sentence(situation.stays);
  const own = [crash, stays, back, kept].filter((part) => part !== null);
  if (own.length === 0 && safe.length === 0)
    own.push(`${state.app.committed.version} ${standstillText(situation.working)}.`);
  own.push(...[updaterRolledBack(state)].filter((part) => part !== null));
  const [reason] = reasons;
  // What the server holds back because of that very rollback would only say it twice.
  const server = back !== null || reason === undefined ? [] : [sentence(reason)];
  const refusal = situation.trouble === null ? [] : [sentence(situation.trouble)];
  const unreachable = serverError === null ? [] : [sentence(serverError)];
  return [...safe, ...own, ...server, ...refusal, ...unreachable].join(' ').slice(0, sentenceMax);
}
