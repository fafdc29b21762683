/**
 * The life of a rollout. `running` and `paused` continue; the others are ends. A `finished` one is still offered to
 * latecomers, and stops for all when it fails on one of them.
 */
export const rolloutStates = ['running', 'paused', 'finished', 'superseded', 'failed', 'cancelled'] as const;
export type RolloutState = (typeof rolloutStates)[number];

/** It can still be paused, resumed and cancelled. */
export function isInHand(state: RolloutState): boolean {
  return state === 'running' || state === 'paused' || state === 'finished';
}
