import { asTravelled } from '../../protocol/check-in.ts';
import type { SlotName } from '../../protocol/component.ts';
import { shownProxy } from '../../protocol/network-path.ts';
import { rows, type StateBody } from '../../protocol/state-record.ts';
import { type Status, type StatusInput, statusShape } from '../../protocol/status.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { troubleOf } from '../choice/refused.ts';
import { isRevokedAsNoted } from '../choice/revoked-note.ts';
import { holdReason } from '../choice/wanted.ts';
import { wayBackOf } from '../choice/way-back.ts';
import { replaceJson } from '../effects/durable.ts';
import { trialLength } from '../identity/settings.ts';
import { rulesOf } from '../machine/component-rules.ts';
import { damageNotices } from '../outcome/damage-notes.ts';
import { deferralOf } from '../outcome/deferral-note.ts';
import { readHistory, withoutGone } from '../outcome/history.ts';
import { keptEvidence } from '../outcome/kept-evidence.ts';
import { keptOf, lineOf } from '../outcome/kept-trials.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { launchable, quickSeal } from '../record/quick-look.ts';
import { factoryWords } from '../recovery/factory-words.ts';
import { lastAnswers } from '../requests/request-answers.ts';
import { stickLines } from '../requests/stick-notes.ts';
import { cloneNotice, hostName } from '../server/clone-notice.ts';
import { loadRemembered, type Remembered } from '../server/remembered-answer.ts';
import { readSources, sourcesShown } from '../trust/sources.ts';
import { isLame, type Working } from '../verdict/standstill.ts';
import { deadlineUsedMs, type TrialWaits } from '../verdict/trial.ts';
import { staysOf } from '../watch/bursts.ts';
import { type AgentLook, agentLook, ownEnd, recentCrashes } from '../watch/crashes.ts';
import { givenUp } from '../watch/given-up.ts';
import { workingNow } from '../watch/watch-agent.ts';
import { nameOf, nounOf } from '../words/component-words.ts';
import { headAndTail } from '../words/text.ts';
import { statusTexts } from '../words/texts.ts';
import { pinNotice } from './lasting-notices.ts';
import { lastRollback, whySentence } from './sentences.ts';
import { toldByAgent } from './told-by-agent.ts';

/** Lines of history that the page shows. */
const linesMax = 10;
const outputMax = 4_000;
/** Those that status.json takes; the gravest come first. */
const noticesMax = 8;

type SlotLine = StatusInput['slots'][number];

function roleOf(
  state: StateBody,
  component: 'app' | 'updater',
  slot: SlotName,
  { sealed, hasVersion }: { readonly sealed: boolean; readonly hasVersion: boolean },
): SlotLine['role'] {
  const kept = state[component];
  if (kept.committed.slot === slot) return sealed ? 'committed' : 'damaged';
  if (state.trial?.component === component && state.trial.slot === slot) return 'on trial';
  const { transaction } = state;
  if (transaction?.component === component && transaction.slot === slot) return 'incoming';
  if (kept.previous?.slot === slot) return sealed ? 'previous' : 'damaged';
  // The factory slot is the last resort: its damage must be reported before it is needed.
  if (slot === 'factory') return sealed ? 'factory' : 'damaged';
  return hasVersion ? 'unused' : 'empty';
}

/** Damage that does not affect what runs now. `why` reports a damaged committed agent. */
function damagedNotices(slots: readonly SlotLine[], state: StateBody): string[] {
  const damaged = slots.filter(({ role }) => role === 'damaged');
  return damaged.flatMap(({ component, slot }) => {
    if (slot === 'factory') return [statusTexts.factoryDamaged(nounOf(component))];
    const { factoryStandsIn, installed } = rulesOf(component);
    const committed = installed(state);
    if (!factoryStandsIn || committed === null || slot !== committed.slot) return [];
    return [statusTexts.factoryInPlace(nameOf(component, committed.version), nounOf(component))];
  });
}

function slotLines(appliance: Appliance, state: StateBody): SlotLine[] {
  const names = { app: ['0', '1', '2', 'factory'], updater: ['0', '1', 'factory'] } as const;
  return (['app', 'updater'] as const).flatMap((component) =>
    names[component].map((slot): SlotLine => {
      // Proven from the seal, not from memory (S6).
      const seal = quickSeal(appliance.files, appliance.layout.slot(component, slot));
      const isWhole = launchable(appliance.files, appliance.layout, component, slot) !== null;
      const role = roleOf(state, component, slot, { sealed: isWhole, hasVersion: seal !== null });
      return { component, slot, role, version: seal?.version ?? null, manifest: seal?.manifest ?? null };
    }),
  );
}

/** What the appliance cannot repair by itself. */
export function needsAPerson({ trustNotice, isIdentityLost }: Appliance): boolean {
  return (trustNotice ?? null) !== null || isIdentityLost === true;
}

/** The one-word verdict of `status`; the server gets it, too. */
export function verdictWord(
  state: StateBody,
  agent: AgentFacts | null,
  crashes: number,
  working: Working,
  isInNeed: boolean,
): Status['verdict']['word'] {
  if (agent === null) return 'unknown';
  if (state.row === 'safe') return 'safe';
  if (state.row === 'trial' || state.row === 'armed' || state.row === 'committing') return 'trial';
  if (state.transaction !== null) return 'updating';
  if (crashes > 1 || agent.state !== 'active' || isLame(working)) return 'blocked';
  if (crashes === 1) return 'attention';
  if (working.word === 'unknown') return 'unknown';
  // A person who went back by hand knows about it; an automatic rollback needs attention.
  return isInNeed || lastRollback(state)?.reason === 'trial' ? 'attention' : 'ok';
}

function trialLine(state: StateBody, waits: TrialWaits | null): StatusInput['trial'] {
  const { transaction } = state;
  if (state.row !== 'trial' || transaction === null) return null;
  const { migratingMs = 0, usedMs, trial } = transaction;
  const leftMs = Math.max(0, trial.deadlineMs - deadlineUsedMs({ usedMs, migratingMs }, trial.migrationMs ?? null));
  const { healthyMs } = transaction;
  return { healthyMs, needMs: transaction.trial.healthyMs, leftMs, ...(waits === null ? {} : { waits }) };
}

function deferralLine(appliance: Appliance, state: StateBody): Pick<StatusInput, 'deferral'> {
  const deferral = deferralOf(appliance, state);
  if (deferral === null) return {};
  const { words, usedMs, leftMs } = deferral.look;
  return { deferral: { words, usedMs, leftMs } };
}

function agentLine(
  { facts: agent, answer }: AgentLook,
  crashes: number,
  end: Pick<AgentFacts, 'lastExit' | 'lastOutput'> | null,
): StatusInput['agent'] {
  const word = (status: string | { raw: string }) => (typeof status === 'string' ? status : status.raw);
  const told = toldByAgent(answer);
  return {
    alive: agent?.state === 'active',
    pid: agent?.pid ?? null,
    version: answer?.version ?? null,
    checks: Object.fromEntries(Object.entries(answer?.checks ?? {}).map(([name, status]) => [name, word(status)])),
    server: answer === null ? 'unknown' : word(answer.server),
    crashes,
    lastExit: end?.lastExit ?? null,
    lastOutput: headAndTail(end?.lastOutput ?? '', outputMax),
    ...(told.length === 0 ? {} : { told }),
  };
}

async function backLine(appliance: Appliance, state: StateBody): Promise<NonNullable<StatusInput['back']>> {
  const { previous } = state.app;
  const way = wayBackOf(appliance, state, previous !== null && (await isRevokedAsNoted(appliance, previous)));
  const refused = way.kind === 'refused' ? { code: way.code, text: way.text } : null;
  const data = way.kind === 'refused' && way.data !== null ? { data: way.data } : {};
  return { version: previous?.version ?? null, manifest: previous?.manifest ?? null, refused, ...data };
}

function evidenceLine({ files, layout }: Appliance, state: StateBody): Pick<StatusInput, 'evidence'> {
  const line = lineOf(readHistory(files, layout), lastRollback(state));
  const seen = line === null ? null : keptEvidence(files, layout, line.tx);
  return line === null || seen === null ? {} : { evidence: { tx: line.tx, version: line.to, seen } };
}

function sourcesLine(appliance: Appliance): Pick<StatusInput, 'sources' | 'sourcesShown'> {
  const file = readSources(appliance);
  const digest = { sourcesShown: sourcesShown(file) };
  if (file === null) return digest;
  const { origin, releases, proxy, ca, rateBytesPerS } = file.current;
  const shown = proxy === null ? null : shownProxy(proxy);
  const answered = file.previous === null;
  return {
    ...digest,
    sources: { origin, releases, proxy: shown, pinned: ca.pins.length > 0, rateBytesPerS, answered },
  };
}

/** `http://…: connect ECONNREFUSED …` is no sentence yet. */
function serverWords(message: string): string {
  return /^https?:/.test(message) ? statusTexts.serverNotReached(message) : message;
}

/** The sentence that the page, the command line and the server all show. */
export function whyOf(
  appliance: Appliance,
  state: StateBody,
  agent: AgentFacts | null,
  crashes: number,
  working = workingNow(appliance),
  waits: TrialWaits | null = null,
): string {
  const { desired, error } = loadRemembered(appliance.files, appliance.layout);
  return whySentence({
    state,
    agent,
    crashes,
    reasons: desired?.reasons ?? [],
    serverError: error === null ? null : serverWords(error.message),
    deferral: deferralOf(appliance, state)?.sentence ?? null,
    trouble: givenUp(appliance, state) ?? holdReason(state, desired) ?? troubleOf(appliance, state, desired),
    kept: keptOf(appliance, lastRollback(state)),
    stays: staysOf(appliance, state),
    inSafe: factoryWords(appliance),
    trust: appliance.trustNotice ?? null,
    working,
    waits,
  });
}

/**
 * Writes run/status.json: all that the field page and the status command read.
 * @param seen a recent look at the agent; absent: it is looked at now
 * @param waits what the trial that runs waits for; null: it does not wait for the server
 */
export async function publishStatus(
  appliance: Appliance,
  state: StateBody,
  seen?: AgentLook,
  waits: TrialWaits | null = null,
): Promise<void> {
  const { files, layout, clock, identity, settings, processes } = appliance;
  const look = seen ?? (await agentLook(appliance));
  const agent = look.facts;
  const crashes = agent === null ? 0 : recentCrashes(appliance, state, agent);
  const remembered = loadRemembered(files, layout);
  const reasons = remembered.desired?.reasons ?? [];
  const working = workingNow(appliance);
  const why = whyOf(appliance, state, agent, crashes, working, waits);
  const length = trialLength(undefined, settings);
  const slots = slotLines(appliance, state);
  const clone = remembered.clone.length === 0 ? [] : [cloneNoticeOf(appliance, remembered)];
  const lasting = [...damagedNotices(slots, state), ...pinNotice(appliance), ...damageNotices(appliance)];
  const notices = [...clone, ...(appliance.notices ?? []), ...lasting].slice(0, noticesMax);
  const isInNeed = remembered.error !== null || clone.length > 0 || needsAPerson(appliance);
  // Only an updater that has nothing else to do takes requests; while it judges a trial it must not lose time.
  const mayAsk = state.row === 'idle' || state.row === 'safe';
  const status: StatusInput = {
    v: 1,
    appliance: appliance.isIdentityLost ? null : identity.appliance,
    name: identity.name,
    server: appliance.isIdentityLost ? null : identity.url,
    verdict: {
      word: verdictText(verdictWord(state, agent, crashes, working, isInNeed)),
      sentence: why,
    },
    why,
    row: rows.find((row) => row === state.row) ?? 'unknown',
    slots,
    agent: agentLine(look, crashes, agent === null ? null : ownEnd(appliance, state, agent)),
    updater: { version: appliance.version, isolation: processes.isolation },
    checkIn: { last: remembered.answered, error: remembered.error, nextInS: remembered.nextInS },
    desired: remembered.desired === null ? null : { release: asTravelled(remembered.desired).release, reasons },
    quarantine: state.quarantine,
    floor: state.floor,
    trial: trialLine(state, waits),
    ...deferralLine(appliance, state),
    settings: { trialHealthyMs: length.healthyMs, trialDeadlineMs: length.deadlineMs, shortened: length.shortened },
    transactions: readHistory(files, layout)
      .slice(-linesMax)
      .map((line) => withoutGone(files, layout, line))
      .map((line) => ({ ...line, outcome: typeof line.outcome === 'string' ? line.outcome : line.outcome.raw })),
    ...lastAnswers(appliance),
    ...(mayAsk ? { back: await backLine(appliance, state) } : {}),
    ...evidenceLine(appliance, state),
    sticks: stickLines(appliance, state),
    ...sourcesLine(appliance),
    ...(notices.length === 0 ? {} : { notices }),
    wallS: clock.wallS(),
    at: { boot: clock.bootId(), monoMs: clock.monoMs() },
  };
  statusShape.parse(status);
  replaceJson(files, layout.status, status, 0o644);
}

function cloneNoticeOf({ files, clock }: Appliance, { clone, cloneKeys }: Remembered): string {
  return cloneNotice(clone, cloneKeys, { boot: clock.bootId(), host: hostName(files) });
}

function verdictText(word: Status['verdict']['word']): string {
  return typeof word === 'string' ? word : word.raw;
}
