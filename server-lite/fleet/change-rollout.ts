import type { Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import { isInHand, type RolloutState } from '../rules/rollout-life.ts';
import type { Rollout } from '../store/rollouts.ts';
import { rolloutTexts } from '../texts.ts';
import { advanceRollouts } from './advance-rollouts.ts';
import { requireRollout } from './start-rollout.ts';

/** What a person does to a rollout. */
export type RolloutVerb = 'pause' | 'resume' | 'cancel';

const wanted: Readonly<Record<RolloutVerb, RolloutState>> = { pause: 'paused', resume: 'running', cancel: 'cancelled' };

/**
 * Pauses, resumes or cancels a rollout. Pausing a paused one keeps its first reason, and adds to its history.
 * @throws Refusal `rollout-unknown`, `rollout-ended`
 */
export function changeRollout(core: Core, id: number, verb: RolloutVerb, why: string): Rollout {
  advanceRollouts(core);
  const rollout = requireRollout(core, id);
  const { state } = rollout;
  const reason = verb === 'resume' ? '' : why || rolloutTexts.byOperator;
  const nowMs = core.nowMs();
  requireGoingOn(rollout, verb);
  if (verb === 'pause' && state === 'paused') core.rollouts.note(id, 'paused', reason, nowMs);
  else if (state !== wanted[verb] && !(verb === 'resume' && state === 'finished')) {
    core.rollouts.change(id, wanted[verb], reason, nowMs);
    advanceRollouts(core);
  }
  core.log.info({ rollout: id, verb }, reason || rolloutTexts.changed(verb));
  return requireRollout(core, id);
}

function requireGoingOn({ id, component, version, state }: Rollout, verb: RolloutVerb): void {
  if (isInHand(state) || state === wanted[verb]) return;
  const flag = component === 'app' ? '' : ` --component ${component}`;
  const message = rolloutTexts.hasEnded(id, component, version, state);
  throw new Refusal('rollout-ended', message, rolloutTexts.hasEndedNext(version, flag));
}
