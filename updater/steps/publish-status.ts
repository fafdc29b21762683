import { z } from 'zod';
import { asTravelled } from '../../protocol/check-in.ts';
import type { SlotName } from '../../protocol/component.ts';
import { rows, type StateBody } from '../../protocol/state-record.ts';
import { type Status, type StatusInput, statusShape } from '../../protocol/status.ts';
import type { Appliance } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import { readHistory } from '../history.ts';
import { quickSeal } from '../launch-count.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { readSources } from '../release/sources.ts';
import { lastRollback, whySentence } from '../sentences.ts';
import { trialLength } from '../settings.ts';
import { isLame, type Working } from '../standstill.ts';
import { headAndTail } from '../text.ts';
import { deadlineUsedMs } from '../trial.ts';
import { staysOf } from './bursts.ts';
import { type AgentLook, agentLook, recentCrashes } from './crashes.ts';
import { deferralOf } from './deferral-note.ts';
import { givenUp } from './given-up.ts';
import { keptEvidence } from './kept-evidence.ts';
import { keptOf, lineOf } from './kept-trials.ts';
import { troubleOf } from './refused.ts';
import { isRevokedAsNoted } from './revoked-note.ts';
import { stickLines } from './stick-notes.ts';
import { holdReason } from './wanted.ts';
import { workingNow } from './watch-agent.ts';
import { wayBackOf } from './way-back.ts';

/** Lines of history that the page shows. */
const linesMax = 10;
const outputMax = 4_000;

const lastRequestShape = z.object({
  id: z.string(),
  outcome: z.string(),
  text: z.string(),
  code: z.string().optional(),
});

type SlotLine = StatusInput['slots'][number];

function roleOf(state: StateBody, component: 'app' | 'updater', slot: SlotName, sealed: boolean): SlotLine['role'] {
  const kept = state[component];
  if (kept.committed.slot === slot) return sealed ? 'committed' : 'damaged';
  if (state.trial?.component === component && state.trial.slot === slot) return 'on trial';
  const { transaction } = state;
  if (transaction?.component === component && transaction.slot === slot) return 'incoming';
  if (kept.previous?.slot === slot) return sealed ? 'previous' : 'damaged';
  return slot === 'factory' ? 'factory' : 'empty';
}

function slotLines(appliance: Appliance, state: StateBody): SlotLine[] {
  const names = { app: ['0', '1', '2', 'factory'], updater: ['0', '1', 'factory'] } as const;
  return (['app', 'updater'] as const).flatMap((component) =>
    names[component].map((slot): SlotLine => {
      // Proven from the seal, not remembered (S6).
      const seal = quickSeal(appliance.files, appliance.layout.slot(component, slot));
      const role = roleOf(state, component, slot, seal !== null);
      return { component, slot, role, version: seal?.version ?? null, manifest: seal?.manifest ?? null };
    }),
  );
}

function verdictWord(
  state: StateBody,
  agent: AgentFacts | null,
  crashes: number,
  working: Working,
  offline: boolean,
): Status['verdict']['word'] {
  if (agent === null) return 'unknown';
  if (state.row === 'safe') return 'safe';
  if (state.row === 'trial' || state.row === 'armed' || state.row === 'committing') return 'trial';
  if (state.transaction !== null) return 'updating';
  if (crashes > 0 || agent.state !== 'active') return 'blocked';
  if (isLame(working)) return 'blocked';
  if (working.word === 'unknown') return 'unknown';
  return offline || lastRollback(state) !== undefined ? 'attention' : 'ok';
}

function trialLine(state: StateBody): StatusInput['trial'] {
  const { transaction } = state;
  if (state.row !== 'trial' || transaction === null) return null;
  const { migratingMs = 0, usedMs, trial } = transaction;
  const leftMs = Math.max(0, trial.deadlineMs - deadlineUsedMs({ usedMs, migratingMs }, trial.migrationMs ?? null));
  return { healthyMs: transaction.healthyMs, needMs: transaction.trial.healthyMs, leftMs };
}

function deferralLine(appliance: Appliance, state: StateBody): Pick<StatusInput, 'deferral'> {
  const deferral = deferralOf(appliance, state);
  if (deferral === null) return {};
  const { words, usedMs, leftMs } = deferral.look;
  return { deferral: { words, usedMs, leftMs } };
}

function agentLine({ facts: agent, answer }: AgentLook, crashes: number): StatusInput['agent'] {
  const word = (status: string | { raw: string }) => (typeof status === 'string' ? status : status.raw);
  return {
    alive: agent?.state === 'active',
    pid: agent?.pid ?? null,
    version: answer?.version ?? null,
    checks: Object.fromEntries(Object.entries(answer?.checks ?? {}).map(([name, status]) => [name, word(status)])),
    server: answer === null ? 'unknown' : word(answer.server),
    crashes,
    lastExit: agent?.lastExit ?? null,
    lastOutput: headAndTail(agent?.lastOutput ?? '', outputMax),
  };
}

async function backLine(appliance: Appliance, state: StateBody): Promise<NonNullable<StatusInput['back']>> {
  const { previous } = state.app;
  const way = wayBackOf(appliance, state, previous !== null && (await isRevokedAsNoted(appliance, previous)));
  const refused = way.kind === 'refused' ? { code: way.code, text: way.text } : null;
  const data = way.kind === 'refused' && way.data !== null ? { data: way.data } : {};
  return { version: state.app.previous?.version ?? null, refused, ...data };
}

function evidenceLine({ files, layout }: Appliance, state: StateBody): Pick<StatusInput, 'evidence'> {
  const line = lineOf(readHistory(files, layout), lastRollback(state));
  const seen = line === null ? null : keptEvidence(files, layout, line.tx);
  return line === null || seen === null ? {} : { evidence: { tx: line.tx, version: line.to, seen } };
}

function sourcesLine(appliance: Appliance): Pick<StatusInput, 'sources'> {
  const file = readSources(appliance);
  if (file === null) return {};
  const { origin, releases, proxy, ca, rateBytesPerS } = file.current;
  const shown = proxy === null ? null : withoutCredentials(proxy);
  const answered = file.previous === null;
  return { sources: { origin, releases, proxy: shown, pinned: ca.pins.length > 0, rateBytesPerS, answered } };
}

function withoutCredentials(address: string): string {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url.href;
}

/** The sentence that page, command line and server all have. */
export function whyOf(
  appliance: Appliance,
  state: StateBody,
  agent: AgentFacts | null,
  crashes: number,
  working = workingNow(appliance),
): string {
  const { desired, error } = loadRemembered(appliance.files, appliance.layout);
  return whySentence({
    state,
    agent,
    crashes,
    reasons: desired?.reasons ?? [],
    serverError: error?.message ?? null,
    deferral: deferralOf(appliance, state)?.sentence ?? null,
    trouble: givenUp(appliance, state) ?? holdReason(state, desired) ?? troubleOf(appliance, state, desired),
    kept: keptOf(appliance, lastRollback(state)),
    stays: staysOf(appliance, state),
    working,
  });
}

/**
 * Writes run/status.json: all that the field page and the status command read.
 * @param seen a look at the agent that is not old yet; absent: it is looked at now
 */
export async function publishStatus(appliance: Appliance, state: StateBody, seen?: AgentLook): Promise<void> {
  const { files, layout, clock, identity, settings, processes } = appliance;
  const look = seen ?? (await agentLook(appliance));
  const agent = look.facts;
  const crashes = agent === null ? 0 : recentCrashes(appliance, agent);
  const remembered = loadRemembered(files, layout);
  const reasons = remembered.desired?.reasons ?? [];
  const working = workingNow(appliance);
  const why = whyOf(appliance, state, agent, crashes, working);
  const length = trialLength(undefined, settings);
  // Only an updater that has nothing else to do takes requests; while it judges a trial it must not lose time.
  const mayAsk = state.row === 'idle' || state.row === 'safe';
  const status: StatusInput = {
    v: 1,
    appliance: identity.appliance,
    name: identity.name,
    server: identity.url,
    verdict: {
      word: verdictText(verdictWord(state, agent, crashes, working, remembered.error !== null)),
      sentence: why,
    },
    why,
    row: rows.find((row) => row === state.row) ?? 'unknown',
    slots: slotLines(appliance, state),
    agent: agentLine(look, crashes),
    updater: { version: appliance.version, isolation: processes.isolation },
    checkIn: { last: remembered.answered, error: remembered.error, nextInS: remembered.nextInS },
    desired: remembered.desired === null ? null : { release: asTravelled(remembered.desired).release, reasons },
    quarantine: state.quarantine,
    floor: state.floor,
    trial: trialLine(state),
    ...deferralLine(appliance, state),
    settings: { trialHealthyMs: length.healthyMs, trialDeadlineMs: length.deadlineMs, shortened: length.shortened },
    transactions: readHistory(files, layout)
      .slice(-linesMax)
      .map((line) => ({ ...line, outcome: typeof line.outcome === 'string' ? line.outcome : line.outcome.raw })),
    lastRequest: lastRequestShape.nullable().parse(readJson(files, `${layout.run}/last-request.json`, 16_000)),
    ...(mayAsk ? { back: await backLine(appliance, state) } : {}),
    ...evidenceLine(appliance, state),
    sticks: stickLines(appliance, state),
    ...sourcesLine(appliance),
    wallS: clock.wallS(),
    at: { boot: clock.bootId(), monoMs: clock.monoMs() },
  };
  statusShape.parse(status);
  replaceJson(files, layout.status, status, 0o644);
}

function verdictText(word: Status['verdict']['word']): string {
  return typeof word === 'string' ? word : word.raw;
}
