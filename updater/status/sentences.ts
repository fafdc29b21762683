import type { FailureReason, Quarantined, StateBody } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';
import { compareVersions } from '../../protocol/version.ts';
import { rulesOf } from '../machine/component-rules.ts';
import { withoutBaseline, withoutServer } from '../machine/not-compared.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { factoryRuns } from '../recovery/factory-words.ts';
import { isLame, standstillText, type Working } from '../verdict/standstill.ts';
import type { TrialWaits } from '../verdict/trial.ts';
import { ageWord } from '../words/age-word.ts';
import { nameOf } from '../words/component-words.ts';
import { sentence } from '../words/sentence.ts';
import { reasonTexts, statusTexts } from '../words/texts.ts';

const sentenceMax = 600;

export interface Situation {
  readonly state: StateBody;
  readonly agent: AgentFacts | null;
  /** Recent crashes of the committed version. */
  readonly crashes: number;
  /** What is known about the work of the start that runs. */
  readonly working: Working;
  readonly reasons: readonly string[];
  readonly serverError: string | null;
  /** What last stopped the transaction in flight; without a transaction, why the wanted release was refused. */
  readonly trouble: string | null;
  /** Why the switch waits for the agent; absent or null: it does not. */
  readonly deferral?: string | null;
  /** Where the data of the newest failed trial is kept; null: nowhere. */
  readonly kept: string | null;
  /** What the updater does about a crash loop of the committed version; absent or null: nothing has been decided. */
  readonly stays?: string | null;
  /** What runs in safe mode ({@link factoryWords}); absent: the factory agent. */
  readonly inSafe?: string;
  /** What the version on trial waits for at the server; absent or null: for nothing. */
  readonly waits?: TrialWaits | null;
  /** Why no release can be verified; absent or null: they can. */
  readonly trust?: string | null;
}

/**
 * The newest rollback, until a version newer than the one rolled back is committed. A person who goes back a second time
 * comes from an older version to a newer one: that counts while the version that they left is the previous one.
 */
export function lastRollback(state: StateBody, component: 'app' | 'updater' = 'app'): Quarantined | undefined {
  const newest = state.quarantine.findLast((entry) => (entry.component ?? 'app') === component);
  if (newest === undefined) return undefined;
  const { committed, previous } = state[component];
  if (newest.reason === 'by hand' && previous?.manifest === newest.manifest) return newest;
  return compareVersions(newest.version, committed.version) > 0 ? newest : undefined;
}

/** `waiting for two check-ins at the server: 1 of 2` */
function waiting(waits: TrialWaits | null): string {
  return waits === null ? '' : statusTexts.waitsForServer(Math.min(waits.seen, waits.of), waits.of);
}

/** What is going on now; null: nothing. */
export function during(state: StateBody, waits: TrialWaits | null = null): string | null {
  const { transaction } = state;
  if (transaction === null) return null;
  const { component, kind, healthyMs, trial, data } = transaction;
  const rules = rulesOf(component);
  const version = nameOf(component, transaction.version);
  const seconds = (ms: number) => `${Math.floor(ms / 1000)} s`;
  switch (state.row) {
    case 'resolved':
    case 'fetching':
      return statusTexts.fetched(version);
    case 'writing':
    case 'sealed':
      return statusTexts.prepared(version, state.app.committed.version);
    case 'quiesced':
    case 'snapped':
    case 'returning':
    case 'armed':
      if (kind !== 'return') return statusTexts.switchingTo(version);
      return statusTexts.goingBackTo(version, data === undefined ? '' : statusTexts.withData(ageWord(data.ageH)));
    case 'trial':
      if (!rules.stopsAgent) return statusTexts.updaterOnTrial(version, state.app.committed.version);
      return statusTexts.onTrial(
        version,
        seconds(healthyMs),
        seconds(trial.healthyMs),
        waiting(waits),
        withoutBaseline(state),
        withoutServer(state),
      );
    case 'committing':
      return statusTexts.passedTrial(version);
    case 'reverting':
      return statusTexts.failedTrial(version, rules.installed(state)?.version ?? statusTexts.previousOne);
    case 'idle':
    case 'closing':
    case 'safe':
      return null;
    default:
      return state.row satisfies never;
  }
}

/** What runs. In safe mode that is not the committed version, so nothing is said about the committed version. */
function runningName({ state, inSafe = factoryRuns }: Situation): string | null {
  if (!isInSafe(state)) return state.app.committed.version;
  return inSafe === factoryRuns ? statusTexts.factoryAgent : null;
}

function crashing(situation: Situation): string | null {
  const { agent, crashes, working } = situation;
  const version = runningName(situation);
  if (version === null) return null;
  if (agent === null) return statusTexts.notKnown(version);
  if (crashes === 0) {
    if (agent.state === 'starting') return sentence(statusTexts.beingStarted(version));
    if (agent.state !== 'active') return sentence(statusTexts.notRunning(version));
    return isLame(working) ? sentence(`${version} ${standstillText(working)}`) : null;
  }
  const times = crashes === 1 ? statusTexts.once : statusTexts.times(crashes);
  const exit = agent.lastExit;
  const last = exit === null ? '' : statusTexts.lastExit(exit.signal ?? exit.code);
  const runsAgain = crashes === 1 && agent.state === 'active' && !isLame(working);
  return sentence(statusTexts.crashed(version, times, `${last}${runsAgain ? statusTexts.runsAgain : ''}`));
}

/** The agent does not notice any of this. */
function updaterRolledBack(state: StateBody): string | null {
  const entry = lastRollback(state, 'updater');
  if (entry === undefined) return null;
  const why = reasonTexts[entry.verdict as FailureReason] ?? entry.verdict;
  return statusTexts.updaterRolledBack(entry.version, why, entry.verdict, state.updater.committed.version);
}

/** Why a release is no longer taken automatically. */
export function quarantinedSentence(state: StateBody, entry: Quarantined): string {
  return statusTexts.runsBecause(state.app.committed.version, leftSentence(entry));
}

function leftSentence({ reason, version, verdict }: Quarantined): string {
  if (reason === 'by hand') return statusTexts.wentBackFrom(version);
  return statusTexts.rolledBack(version, reasonTexts[verdict as FailureReason] ?? verdict, verdict);
}

/** Each sentence once: a sentence that another part already contains is left out. */
function once(parts: readonly string[]): string {
  const told: string[] = [];
  for (const part of parts.flatMap((text) => text.split(/(?<=[.…]) (?=\p{Lu})/u))) {
    const plain = part.toLowerCase().replace(/[.…]$/, '');
    if (!told.some((before) => before.toLowerCase().includes(plain))) told.push(part);
  }
  return told.join(' ');
}

function isInSafe({ row, safe }: Pick<StateBody, 'row' | 'safe'>): boolean {
  return row === 'safe' || safe !== null;
}

/** What a person must know before anything else, and what helps. */
function safeSentences({ state: { safe, row, app }, inSafe = factoryRuns }: Situation): string[] {
  if (!isInSafe({ row, safe })) return [];
  const { version } = app.committed;
  if (safe?.reason === 'records-newer') {
    return [statusTexts.untilNewer(sentence(safe.text))];
  }
  const why = safe?.reason === 'state-lost' ? statusTexts.dataNotBack(version) : statusTexts.filesDamaged(version);
  const reason = safe === null ? statusTexts.noneProven : `${why} (${safe.text})`;
  return [statusTexts.safeMode(reason, sentence(statusTexts.nothingErased(inSafe)))];
}

/** Why this appliance runs what it runs, in one or two sentences. */
export function whySentence(situation: Situation): string {
  const { state, reasons, serverError } = situation;
  const { trust = null } = situation;
  const safe = [...safeSentences(situation), ...(trust === null ? [] : [sentence(trust)])];
  const now = during(state, situation.waits ?? null);
  if (now !== null) {
    const trouble = situation.trouble === null ? [] : [sentence(statusTexts.lastTryStopped(situation.trouble))];
    const { deferral = null } = situation;
    const waits = deferral === null ? [] : [sentence(deferral)];
    return cut(once([...safe, now, ...waits, ...trouble]), sentenceMax);
  }
  const [crash, left] = [crashing(situation), lastRollback(state)];
  const runs = isInSafe(state) ? [] : [`${state.app.committed.version} ${standstillText(situation.working)}.`];
  const refusal = situation.trouble === null ? [] : [sentence(situation.trouble)];
  // The newest cause comes first: a refusal now is newer than the rollback.
  const lead = crash !== null ? [crash] : refusal.length > 0 || left === undefined ? runs : [];
  const back =
    left === undefined ? [] : [lead.length > 0 ? sentence(leftSentence(left)) : quarantinedSentence(state, left)];
  const kept = left === undefined || situation.kept === null ? [] : [sentence(situation.kept)];
  const stays = crash === null || !situation.stays ? [] : [sentence(situation.stays)];
  const updater = [updaterRolledBack(state)].filter((part) => part !== null);
  const [reason] = reasons;
  // The server holds releases back because of that same rollback; its reason would only repeat it.
  const server = left !== undefined || reason === undefined ? [] : [sentence(reason)];
  const unreachable = serverError === null ? [] : [sentence(serverError)];
  const own = [...lead, ...stays, ...refusal, ...back, ...kept, ...updater];
  return cut(once([...safe, ...own, ...server, ...unreachable]), sentenceMax);
}
