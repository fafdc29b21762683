import type { Component } from '../../protocol/component.ts';
import type { Assigned } from '../store/assignments.ts';
import type { Standing } from '../store/attempts.ts';
import type { Rollout } from '../store/rollouts.ts';
import type { Presence } from './presence.ts';

export interface ApplianceFacts {
  readonly id: string;
  readonly name: string;
  readonly presence: Presence;
}

/** The input of decisions, for one answer or one view. */
export interface Fleet {
  /** undefined: unknown id. */
  readonly appliance: (id: string) => (ApplianceFacts & { readonly isRetired: boolean }) | undefined;
  /** Rollouts that may still offer something, newest first. */
  readonly rollouts: readonly Rollout[];
  /** What an operator chose for one appliance; it takes precedence over the rollouts of its component. */
  readonly assigned: (id: string) => readonly Assigned[];
  /** The recorded result of an appliance in a rollout; undefined: neither proof nor failure. */
  readonly standing: (rollout: number, id: string) => Standing | undefined;
  /** The named reason why an appliance last went back from a release; null: not on record. */
  readonly rolledBackFor: (id: string, manifest: string) => string | null;
  /** A program whose last check-in is older than this counts as silent. */
  readonly silentAfterMs: number;
  /** Its updater does not check in, and this server has listened long enough to know; false if that is unknown. */
  readonly isSilent: (id: string) => boolean;
}

/** For people, from stored times. Rollouts open and end by {@link Fleet.isSilent} instead. */
export function isFresh(last: { readonly atMs: number } | null, fleet: Fleet, nowMs: number): boolean {
  return last !== null && nowMs - last.atMs <= fleet.silentAfterMs;
}

/** What an appliance has of a component, as its updater says; before the updater has reported, as its agent says. */
export function installedOf(
  presence: Presence,
  component: Component,
): { version: string; manifest?: string | undefined } | undefined {
  return presence.updater?.have[component] ?? presence.agent?.have[component];
}

/** Another release of the component is assigned to this appliance, so a rollout does not wait for it. */
export function isAssignedElsewhere(
  id: string,
  release: { readonly component: string; readonly version: string },
  fleet: Fleet,
): boolean {
  return fleet
    .assigned(id)
    .some((one) => !one.withdrawn && one.component === release.component && one.version !== release.version);
}
