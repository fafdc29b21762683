import type { Fact } from '../../protocol/event.ts';
import { cut } from '../../protocol/text.ts';
import { addRareEvent, addServerEvent, type Core, factsOf } from '../core.ts';
import { isInHand } from '../rules/rollout-life.ts';
import { withoutFullStop } from '../rules/words.ts';
import type { Outcome } from '../store/attempts.ts';
import type { Rollout } from '../store/rollouts.ts';
import { rolloutTexts } from '../texts.ts';
import { advanceRollouts } from './advance-rollouts.ts';
import type { Decision } from './decide.ts';
import { isProving } from './stage.ts';

/** Ends of a trial that do not count against the release: a person wanted it, or the power kept failing. */
const harmlessRollbacks: ReadonlySet<string> = new Set(['by-hand', 'inconclusive']);
/** Refusals because what is published is not what was signed; all others are the appliance's own troubles. */
const trustRefusals: ReadonlySet<string> = new Set([
  'bad-bundle',
  'bad-chunk',
  'bad-manifest',
  'not-a-bundle',
  // An updater that does not work on one appliance works on none.
  'probe-failed',
  'revoked',
  'version-mismatch',
  'wrong-manifest',
]);
/** Refusals of metadata that mean only that it is late. */
const lateMetadata: ReadonlySet<string> = new Set(['tuf-expired', 'tuf-incomplete']);
/** Characters of a sentence in a rollout's reason. */
const reasonMax = 300;
/** With less room than this, nothing useful can be added to a reason. */
const reasonRoomMin = 60;

/** @returns false if a full disk prevents the write: no appliance is refused its release for that */
function written(core: Core, work: () => void): boolean {
  try {
    core.db.transaction(work)();
    return true;
  } catch (error) {
    if (!core.disk.isFullError(error)) throw error;
    return false;
  }
}

/**
 * The first answer that offers a release begins an attempt; every later report belongs to one. Call it before the
 * answer is sent.
 */
export function noteOffer(core: Core, appliance: string, decision: Decision): void {
  if (decision.kind !== 'offer') return;
  const one = { rollout: decision.rollout, appliance, manifest: decision.release.manifest };
  if (!written(core, () => core.attempts.offer(one, core.nowMs()))) core.attempts.holdOffer(one);
}

/** Notes what a check-in shows: an update that has begun, and a release that is proven. */
export function noteWhatItIs(core: Core, appliance: string): void {
  written(core, () => noteNow(core, appliance));
}

/** Call it before something is shown: notes what has ended since. */
export function noteEnds(core: Core): void {
  written(core, () => advanceRollouts(core));
}

function noteNow(core: Core, appliance: string): void {
  const facts = factsOf(core, { id: appliance, name: appliance });
  const row = facts.presence.updater?.row ?? null;
  const nowMs = core.nowMs();
  if (row !== null && row !== 'idle' && row !== 'safe') core.attempts.start(appliance, nowMs);
  for (const rollout of core.rollouts.offered()) {
    if (!isProving(facts, rollout) || core.attempts.standing(rollout.id, appliance)?.outcome === 'proven') continue;
    const outcome = { outcome: 'proven', reason: rolloutTexts.proven } as const;
    const latest = core.attempts.latest(appliance, rollout.manifest);
    if (latest?.outcome === null && latest.rollout === rollout.id) core.attempts.end(latest.serial, outcome, nowMs);
    else core.attempts.add({ rollout: rollout.id, appliance, manifest: rollout.manifest }, outcome, nowMs);
    advanceRollouts(core);
  }
}

function saysUntrusted(reason: string): boolean {
  return trustRefusals.has(reason) || (reason.startsWith('tuf-') && !lateMetadata.has(reason));
}

/** What a report says about the release; null: nothing, it is the appliance's own trouble. */
function outcomeOf({ kind, release, text }: Fact): Outcome | null {
  if (release === undefined) return null;
  const reason = release.reason ?? '';
  const refused = kind === 'release-refused';
  if (kind !== 'release-rolled-back' && !(refused && saysUntrusted(reason))) return null;
  const ended = refused ? rolloutTexts.refusedThere : rolloutTexts.rolledBackThere;
  const said = text || ended(release.version, reason);
  return { outcome: !refused && harmlessRollbacks.has(reason) ? 'undecided' : 'failed', reason: cut(said, reasonMax) };
}

/**
 * When an updater was offered a release and could not use it, all rollouts of the release stop, with that appliance's
 * own words: once for each attempt, and only if the release was offered to it.
 */
export function noteReleaseReport(core: Core, appliance: string, event: Fact): void {
  const { kind, release } = event;
  const outcome = outcomeOf(event);
  if (release === undefined) return;
  const nowMs = core.nowMs();
  if (kind === 'release-installing') core.attempts.start(appliance, nowMs);
  if (outcome === null) return;
  const rollouts = core.rollouts.ofRelease(release.manifest);
  const held = core.attempts.heldOffer(appliance, release.manifest);
  if (held !== undefined) core.attempts.offer(held, nowMs);
  const attempt = core.attempts.latest(appliance, release.manifest);
  if (attempt !== undefined) {
    const counts = attempt.outcome === null || (attempt.outcome === 'proven' && outcome.outcome === 'failed');
    if (!counts) return;
    core.attempts.end(attempt.serial, outcome, nowMs);
  } else {
    const unrecorded = rollouts.find((one) => !one.offersKnown);
    if (unrecorded === undefined) {
      noteUnasked(core, appliance, event, rollouts);
      return;
    }
    core.attempts.add({ rollout: unrecorded.id, appliance, manifest: release.manifest }, outcome, nowMs);
  }
  if (outcome.outcome === 'failed') pauseAll(core, appliance, rollouts, outcome.reason);
  advanceRollouts(core);
}

/** Shown to people; stops nothing. */
function noteUnasked(core: Core, appliance: string, { release, text }: Fact, rollouts: readonly Rollout[]): void {
  if (rollouts.length === 0) return;
  const which = `${release?.component} ${release?.version}`;
  const said = cut(text || (release?.reason ?? rolloutTexts.noReason), reasonMax);
  addRareEvent(core, appliance, 'outcome-not-offered', rolloutTexts.notOffered(which, said));
}

function pauseAll(core: Core, appliance: string, rollouts: readonly Rollout[], said: string): void {
  const name = core.appliances.find(appliance)?.name ?? appliance;
  const reason = cut(`${name}: ${said}`, reasonMax);
  for (const rollout of rollouts) {
    if (rollout.state === 'paused') {
      addReason(core, rollout, reason);
      continue;
    }
    if (!isInHand(rollout.state)) continue;
    core.rollouts.change(rollout.id, 'paused', reason, core.nowMs());
    addServerEvent(core, appliance, 'rollout-paused', rolloutTexts.pausedByItself(rollout.id, rollout.version));
  }
}

/** The first reason stays in front; what does not fit is in the history. */
function addReason(core: Core, rollout: Rollout, more: string): void {
  core.rollouts.note(rollout.id, 'paused', more, core.nowMs());
  const roomLeft = reasonMax - rollout.reason.length;
  const added = rolloutTexts.thenAlso(withoutFullStop(rollout.reason), more);
  if (roomLeft >= reasonRoomMin) core.rollouts.explain(rollout.id, cut(added, reasonMax));
}
