import { z } from 'zod';
import { evidenceLines, evidenceShape } from '../../protocol/evidence.ts';
import { type Core, factsOf, fleetOf } from '../core.ts';
import { stateOf } from '../fleet/appliance-state.ts';
import { clockTrouble } from '../fleet/clock.ts';
import { decide, type Fleet, isFresh } from '../fleet/decide.ts';
import { alertOf } from '../fleet/failed-release.ts';
import type { RolePresence } from '../fleet/presence.ts';
import { reasonsText, sentenceCase } from '../fleet/words.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import type { ApplianceView } from './shapes.ts';

/** A crash counts as still going on for this long after it was reported, unless a recovery was. */
const crashFreshMs = 10 * 60_000;

const trialBodyShape = z.object({ release: z.object({ version: z.string(), evidence: evidenceShape }) });
const crashBodyShape = z.object({ crash: z.object({ output: z.string() }) });

/** One appliance as people see it: on the dashboard, the command line and the API. */
export function applianceView(core: Core, row: ApplianceRow, fleet: Fleet = fleetOf(core)): ApplianceView {
  const nowMs = core.nowMs();
  const facts = factsOf(core, row);
  const { agent, updater, quarantine } = facts.presence;
  const decision = decide(facts, fleet, nowMs);
  const crash = lastCrash(core, row.id);
  const goingOn = crash !== null && !crash.recovered && nowMs - crash.atMs <= crashFreshMs;
  const alert = row.retired_at === null ? alertOf(core, row.id) : null;
  const circumstances = {
    alert,
    retired: row.retired_at !== null,
    cloned: core.appliances.keysOf(row.id).some((key) => core.presence.looksCloned(key.key_id)),
    crash: goingOn ? { text: crash.text } : null,
  };
  const { state, sentence } = stateOf(facts, decision, circumstances, fleet, nowMs);
  const online = isFresh(agent, fleet, nowMs) || isFresh(updater, fleet, nowMs);
  const said = isFresh(updater, fleet, nowMs) ? updater?.why : null;
  return {
    id: row.id,
    name: row.name,
    site: row.site,
    state,
    sentence: sentenceCase(sentence),
    why: said || reasonsText(decision.reasons),
    reasons: [...decision.reasons],
    offer: decision.kind === 'offer' ? decision.release.version : null,
    assigned: core.assignments.of(row.id).map(({ component, version }) => `${component} ${version}`),
    alert,
    clock: clockTrouble(facts.presence.clock),
    online,
    versions: versionsOf(agent, updater, isFresh(agent, fleet, nowMs)),
    reported: { agent: agent?.have ?? {}, updater: updater?.have ?? {} },
    checkIns: { agent: lastOf(agent, nowMs), updater: lastOf(updater, nowMs) },
    row: updater?.row ?? null,
    agentAlive: updater?.agentAlive ?? null,
    checks: { ...agent?.checks },
    quarantine,
    lastCrash: crash === null ? null : { atMs: crash.atMs, text: crash.text, output: crash.output },
    failedTrial: failedTrial(core, row.id),
    ackUpto: { agent: core.events.ackUpto(row.id, 'agent'), updater: core.events.ackUpto(row.id, 'updater') },
  };
}

export function applianceViews(core: Core): ApplianceView[] {
  const fleet = fleetOf(core);
  return core.appliances.list().map((row) => applianceView(core, row, fleet));
}

function lastOf(last: RolePresence | null, nowMs: number): { atMs: number; ageS: number } | null {
  return last === null ? null : { atMs: last.atMs, ageS: Math.max(0, Math.round((nowMs - last.atMs) / 1000)) };
}

/** The agent knows best what it is, while it speaks; the updater knows the rest. */
function versionsOf(
  agent: RolePresence | null,
  updater: RolePresence | null,
  agentFresh: boolean,
): ApplianceView['versions'] {
  return agentFresh || updater === null ? { ...updater?.have, ...agent?.have } : { ...agent?.have, ...updater.have };
}

/** Until a release was committed since: then it is history, which the events tell. */
function failedTrial(core: Core, appliance: string): ApplianceView['failedTrial'] {
  const event = core.events.list({ appliance, kind: 'release-rolled-back', limit: 1 })[0];
  if (event === undefined) return null;
  const body = trialBodyShape.safeParse(JSON.parse(event.body)).data;
  if (body === undefined) return null;
  const after = core.events.latest(appliance, ['release-committed']);
  if (after !== undefined && after.serial > event.serial) return null;
  const { version, evidence } = body.release;
  return {
    atMs: event.received_at,
    version,
    text: event.text,
    lines: evidenceLines(evidence),
    output: evidence.output,
  };
}

function lastCrash(
  core: Core,
  appliance: string,
): { atMs: number; text: string; output: string; recovered: boolean } | null {
  const event = core.events.list({ appliance, kind: 'agent-crashed', limit: 1 })[0];
  if (event === undefined) return null;
  const after = core.events.latest(appliance, ['agent-recovered', 'release-committed', 'release-rolled-back']);
  const body = crashBodyShape.safeParse(JSON.parse(event.body));
  return {
    atMs: event.received_at,
    text: event.text,
    output: body.success ? body.data.crash.output : '',
    recovered: after !== undefined && after.serial > event.serial,
  };
}
