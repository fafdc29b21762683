import { compareNames } from '../../protocol/names.ts';
import { type Core, factsOf, wholeFleetOf } from '../core.ts';
import { decide } from '../fleet/decide.ts';
import { type ApplianceFacts, type Fleet, isAssignedElsewhere, isFresh } from '../fleet/fleet.ts';
import { noteEnds } from '../fleet/outcomes.ts';
import { everyoneStage, hasNewer, type StageView } from '../fleet/stage.ts';
import { isInHand } from '../rules/rollout-life.ts';
import { reasonsText, sentenceCase } from '../rules/words.ts';
import type { Standing } from '../store/attempts.ts';
import type { Rollout } from '../store/rollouts.ts';
import { operatorTexts, rolloutTexts } from '../texts.ts';
import { alone } from './alone.ts';
import type { RolloutView } from './shapes.ts';

/** Failed appliances that a sentence names; the view lists them all. */
const namedMax = 3;

/** What all views of one answer share. */
interface Sight {
  readonly core: Core;
  readonly fleet: Fleet;
  /** Appliances that are not retired. */
  readonly facts: readonly ApplianceFacts[];
  readonly nowMs: number;
}

function sightOf(core: Core): Sight {
  const facts = core.appliances
    .list()
    .filter((row) => row.retired_at === null)
    .map((row) => factsOf(core, row));
  return { core, fleet: wholeFleetOf(core), facts, nowMs: core.nowMs() };
}

/**
 * Newest first, each by itself: one that cannot be shown is in the list with the reason.
 * @param max how many; absent: all
 */
export function rolloutViews(core: Core, max?: number): RolloutView[] {
  noteEnds(core);
  const sight = sightOf(core);
  return core.rollouts
    .list()
    .slice(0, max)
    .map((one) =>
      alone(
        core,
        operatorTexts.oneRollout(one.id),
        () => viewOf(sight, one),
        (why) => unreadable(one, why),
      ),
    );
}

/** Stands in for a rollout that cannot be shown, with the reason. */
function unreadable(rollout: Rollout, why: string): RolloutView {
  const { id, component, version, manifest, state, reason, startedAtMs } = rollout;
  const known = { id, component, version, manifest, state, reason, startedAtMs, changes: [], failed: [], canaries: [] };
  return { ...known, stage: 'canary', sentence: sentenceCase(why), proven: [], waiting: [], ageS: 0 };
}

/** A rollout and its progress: what its attempts show, and which appliances are still expected. */
export function rolloutView(core: Core, rollout: Rollout): RolloutView {
  noteEnds(core);
  return viewOf(sightOf(core), core.rollouts.find(rollout.id) ?? rollout);
}

/** The other rollouts of its component that continue or are offered to latecomers, newest first. */
export function stillStanding(core: Core, { id, component }: Rollout) {
  return core.rollouts
    .offered()
    .filter((one) => one.id !== id && one.component === component && isInHand(one.state))
    .map(({ id, version, state }) => ({ id, version, state }));
}

function viewOf(sight: Sight, rollout: Rollout): RolloutView {
  const { core, fleet, facts, nowMs } = sight;
  const standings = core.attempts.standings(rollout.id);
  const decided = new Map(standings.map((one) => [one.appliance, one]));
  const outstanding = isInHand(rollout.state) ? facts.filter(({ id }) => decided.get(id)?.outcome !== 'proven') : [];
  const isOpen = rollout.state !== 'running' && rollout.state !== 'paused';
  const everyone: StageView = isOpen ? { open: true } : everyoneStage(rollout, fleet);
  const nameOf = (id: string) => core.appliances.find(id)?.name ?? id;
  const of = (outcome: Standing['outcome']) =>
    standings
      .filter((one) => one.outcome === outcome)
      .map(({ appliance, reason, atMs }) => ({ name: nameOf(appliance), why: reason, atMs }))
      .sort((a, b) => compareNames(a.name, b.name));
  const [proven, failed] = [of('proven'), of('failed')];
  return {
    id: rollout.id,
    component: rollout.component,
    version: rollout.version,
    manifest: rollout.manifest,
    state: rollout.state,
    reason: rollout.reason,
    stage: stageOf(rollout, everyone),
    sentence: sentenceOf(rollout, countText(sight, proven.length, failed), everyone),
    canaries: rollout.canaries.map(nameOf),
    proven: proven.map(({ name }) => name),
    failed,
    waiting: outstanding.map((one) => ({
      name: one.name,
      why: outstandingWhy(sight, one, rollout, decided.get(one.id)),
    })),
    changes: core.rollouts.history(rollout.id),
    startedAtMs: rollout.startedAtMs,
    ageS: Math.round((nowMs - rollout.startedAtMs) / 1000),
  };
}

function stageOf({ state, openedAtMs }: Rollout, everyone: StageView): RolloutView['stage'] {
  if (state === 'finished') return 'done';
  if (state === 'running' || state === 'paused') return everyone.open ? 'everyone' : 'canary';
  return openedAtMs === null ? 'canary' : 'everyone';
}

function countText({ facts }: Sight, proven: number, failed: readonly { readonly name: string }[]): string {
  // An appliance that proved it and was retired since still counts.
  const all = Math.max(facts.length, proven + failed.length);
  const have = rolloutTexts.provenBy(proven, all);
  if (failed.length === 0) return have;
  const names = failed.slice(0, namedMax).map(({ name }) => name);
  const more = failed.length > namedMax ? ', …' : '';
  return rolloutTexts.failedOnSome(have, failed.length, names.join(', '), more);
}

function sentenceOf({ state, reason }: Rollout, count: string, everyone: StageView): string {
  switch (state) {
    case 'running':
      return reasonsText([everyone.open ? count : `${count}; ${everyone.reason}`]);
    case 'paused':
      return rolloutTexts.paused(reason);
    case 'finished':
      return reasonsText([count]);
    case 'superseded':
    case 'failed':
    case 'cancelled':
      return reasonsText([state === 'superseded' ? reason : `${state}: ${reason}`, count]);
    default:
      return state satisfies never;
  }
}

/** Why an appliance has not proven it yet, in a few words. */
function outstandingWhy(
  { fleet, nowMs }: Sight,
  one: ApplianceFacts,
  rollout: Rollout,
  standing: Standing | undefined,
): string {
  if (isAssignedElsewhere(one.id, rollout, fleet)) return rolloutTexts.outstandingAssigned;
  if (fleet.isSilent(one.id)) return rolloutTexts.outstandingSilent;
  if (!isFresh(one.presence.updater, fleet, nowMs)) return rolloutTexts.outstandingNotKnown;
  if (hasNewer(one, rollout)) return rolloutTexts.outstandingNewer;
  if (one.presence.quarantine.includes(rollout.manifest)) return rolloutTexts.outstandingQuarantined;
  const decision = decide(one, fleet, nowMs);
  if (decision.kind === 'offer' && decision.rollout === rollout.id) return rolloutTexts.outstandingUnderWay;
  return standing?.outcome === 'failed' ? rolloutTexts.outstandingFailed : rolloutTexts.outstandingHeld;
}
