import { evidenceLines, evidenceShape } from '../../protocol/evidence.ts';
import { compareNames } from '../../protocol/names.ts';
import { type Core, factsOf, fleetOf, wholeFleetOf } from '../core.ts';
import { stateOf } from '../fleet/appliance-state.ts';
import { clockTrouble } from '../fleet/clock.ts';
import { decide, unreachable } from '../fleet/decide.ts';
import { alertOf } from '../fleet/failed-release.ts';
import { type Fleet, installedOf, isFresh } from '../fleet/fleet.ts';
import type { RolePresence } from '../fleet/presence.ts';
import { cloneSentence } from '../machine/clone-alarm.ts';
import { reasonsText, sentenceCase } from '../rules/words.ts';
import type { ApplianceRow, Role } from '../store/appliances.ts';
import { type News, noNews } from '../store/news.ts';
import { readStored } from '../store/stored-json.ts';
import { operatorTexts } from '../texts.ts';
import { alone } from './alone.ts';
import type { ApplianceView } from './shapes.ts';

/** A crash counts as current for this long after its report, unless a recovery was reported. */
const crashFreshMs = 10 * 60_000;

/** What is stored about an appliance beside its check-ins: read for one, or for all of them together. */
interface Stored {
  readonly fleet: Fleet;
  news(id: string): News;
  told(id: string, role: Role): number;
}

/** One appliance as people see it: on the dashboard, the command line and in the API. */
export function applianceView(core: Core, row: ApplianceRow, stored: Stored = storedOne(core)): ApplianceView {
  const nowMs = core.nowMs();
  const { fleet } = stored;
  const facts = factsOf(core, row);
  const { agent, updater, quarantine } = facts.presence;
  const decision = decide(facts, fleet, nowMs);
  const { crash, trial, failed } = stored.news(row.id);
  // A crash of an earlier version says nothing about the present one.
  const isOfThis = crash !== null && crash.version === installedOf(facts.presence, 'app')?.version;
  const goingOn = isOfThis && !crash.isOver && nowMs - crash.atMs <= crashFreshMs;
  const clone = cloneOf(core, row);
  const failedAlert = clone ?? alertOf(failed, (...name) => core.releases.find(...name));
  const alert = row.retired_at === null ? failedAlert : null;
  const circumstances = {
    alert,
    retired: row.retired_at !== null,
    clone,
    crash: goingOn ? { text: crash.text } : null,
  };
  const { state, sentence } = stateOf(facts, decision, circumstances, fleet, nowMs);
  const online = isFresh(agent, fleet, nowMs) || isFresh(updater, fleet, nowMs);
  const said = isFresh(updater, fleet, nowMs) ? updater?.why : null;
  // Of a retired one, that is all there is to say: nothing is decided about it.
  const reasons = row.retired_at === null ? decision.reasons : [];
  // Its sentence already says that it is not reached.
  const blocked = state === 'offline' || state === 'blocked' ? unreachable(facts, fleet, nowMs) : null;
  return {
    id: row.id,
    name: row.name,
    site: row.site,
    state,
    sentence: sentenceCase(sentence),
    why: row.retired_at === null ? said || reasonsText(reasons.filter((reason) => reason !== blocked)) : '',
    reasons: [...reasons],
    offer: decision.kind === 'offer' ? decision.release.version : null,
    assigned: fleet.assigned(row.id).map(({ component, version }) => `${component} ${version}`),
    alert,
    clock: clockTrouble(facts.presence.clock),
    online,
    versions: versionsOf(agent, updater, isFresh(agent, fleet, nowMs)),
    reported: { agent: agent?.have ?? {}, updater: updater?.have ?? {} },
    checkIns: { agent: lastOf(agent, nowMs), updater: lastOf(updater, nowMs) },
    row: isFresh(updater, fleet, nowMs) ? (updater?.row ?? null) : null,
    agentAlive: isFresh(updater, fleet, nowMs) ? (updater?.agentAlive ?? null) : null,
    checks: isFresh(agent, fleet, nowMs) ? { ...agent?.checks } : {},
    quarantine,
    quarantined: quarantine.map((manifest) => ({ manifest, release: releaseOf(core, manifest) })),
    lastCrash:
      crash === null ? null : { atMs: crash.atMs, version: crash.version, text: crash.text, output: crash.output },
    failedTrial: failedTrial(trial),
    ackUpto: { agent: stored.told(row.id, 'agent'), updater: stored.told(row.id, 'updater') },
  };
}

function releaseOf(core: Core, manifest: string): string | null {
  const release = core.releases.ofManifest(manifest);
  return release === undefined ? null : `${release.component} ${release.version}`;
}

function storedOne(core: Core): Stored {
  return {
    fleet: fleetOf(core),
    news: (id) => core.news.of(id),
    told: (id, role) => core.senders.numbering(id, role).told,
  };
}

function cloneOf(core: Core, { id, name }: ApplianceRow): string | null {
  const alarm = core.clones.of(id);
  if (alarm === null) return null;
  const copy = alarm.copy === null ? null : (core.appliances.find(alarm.copy)?.name ?? alarm.copy);
  return cloneSentence(alarm, name, copy);
}

/** All of them, sorted by name, each by itself: one that cannot be shown is in the list with the reason. */
export function applianceViews(core: Core): ApplianceView[] {
  const news = core.news.all();
  const stored: Stored = {
    fleet: wholeFleetOf(core),
    news: (id) => news.get(id) ?? noNews,
    told: core.senders.told(),
  };
  const rows = core.appliances.list().sort((a, b) => compareNames(a.name, b.name));
  return rows.map((row) =>
    alone(
      core,
      operatorTexts.oneAppliance(row.name),
      () => applianceView(core, row, stored),
      (why) => unreadableView(row, why),
    ),
  );
}

function unreadableView({ id, name, site }: ApplianceRow, why: string): ApplianceView {
  return {
    id,
    name,
    site,
    state: 'attention',
    sentence: sentenceCase(why),
    why: '',
    reasons: [],
    offer: null,
    assigned: [],
    alert: null,
    clock: null,
    online: false,
    versions: {},
    reported: { agent: {}, updater: {} },
    checkIns: { agent: null, updater: null },
    row: null,
    agentAlive: null,
    checks: {},
    quarantine: [],
    quarantined: [],
    lastCrash: null,
    failedTrial: null,
    ackUpto: { agent: 0, updater: 0 },
  };
}

function lastOf(last: RolePresence | null, nowMs: number): { atMs: number; ageS: number } | null {
  return last === null ? null : { atMs: last.atMs, ageS: Math.max(0, Math.round((nowMs - last.atMs) / 1000)) };
}

/** A fresh agent knows its own version best; the updater knows the rest. */
function versionsOf(
  agent: RolePresence | null,
  updater: RolePresence | null,
  agentFresh: boolean,
): ApplianceView['versions'] {
  return agentFresh || updater === null ? { ...updater?.have, ...agent?.have } : { ...agent?.have, ...updater.have };
}

/** Shown until a release is committed: after that it is history, which the events tell. */
function failedTrial(trial: News['trial']): ApplianceView['failedTrial'] {
  if (trial === null) return null;
  const evidence = readStored(evidenceShape, trial.evidence);
  if (evidence.outcome === 'unreadable') return null;
  const { atMs, version, text } = trial;
  return { atMs, version, text, lines: evidenceLines(evidence.value), output: evidence.value.output };
}
