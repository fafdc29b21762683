import { z } from 'zod';
import type { Desired } from '../../protocol/check-in.ts';
import type { Quarantined, StateBody } from '../../protocol/state-record.ts';
import { compareVersions, type Version } from '../../protocol/version.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { Choice } from '../machine-event.ts';

/** What the server's newest decision means here. */
export type Wanted =
  | { readonly kind: 'nothing'; readonly why: 'none-wanted' | 'is-here' | 'quarantined' }
  | { readonly kind: 'take'; readonly choice: Choice }
  /** It is not taken, and the server may not know why. */
  | { readonly kind: 'hold'; readonly reason: string };

/**
 * The release that a person went back from, when `version` lies between it and what runs: whoever left the newest one
 * did not ask for the one before it. Only what is newer than what was left comes by itself.
 */
export function leftByHand(state: StateBody, version: Version): Quarantined | undefined {
  const runs = state.app.committed.version;
  return state.quarantine.find(
    (entry) =>
      entry.reason === 'by hand' && compareVersions(version, runs) > 0 && compareVersions(entry.version, version) > 0,
  );
}

/**
 * Why no updater is replaced now; null: it may be. Whoever can still bring the version before the agent's back must be the
 * one that knows how that was left.
 */
export function whyNoNewUpdater({ row, app }: StateBody): string | null {
  if (row === 'safe') return 'an updater is not replaced in safe mode';
  const { previous, committed } = app;
  if (previous === null) return null;
  return `an updater is not replaced while ${committed.version} can still be taken back to ${previous.version}`;
}

/** What to do about the server's decision (S26, S60: state is reconciled, not commanded). Pure. */
export function wantedOf(state: StateBody, desired: Desired | null): Wanted {
  if (desired === null || desired.release === null) return { kind: 'nothing', why: 'none-wanted' };
  const { component, version, manifest } = desired.release;
  const source = { kind: 'server', path: desired.path } as const;
  if (component === 'updater') {
    if (manifest === state.updater.committed.manifest) return { kind: 'nothing', why: 'is-here' };
    if (state.quarantine.some((entry) => entry.manifest === manifest)) return { kind: 'nothing', why: 'quarantined' };
    const why = whyNoNewUpdater(state);
    if (why !== null) return { kind: 'hold', reason: `updater ${version} waits: ${why}` };
    return { kind: 'take', choice: { kind: 'update', component, version, manifest, source, waits: true } };
  }
  if (component !== 'app') {
    const reason = `the server wants ${wordOf(component)} ${version}, which this updater can not install`;
    return { kind: 'hold', reason };
  }
  // In safe mode the release that is damaged here is as good as any: it is installed once more.
  if (manifest === state.app.committed.manifest && state.row !== 'safe') return { kind: 'nothing', why: 'is-here' };
  if (state.quarantine.some((entry) => entry.manifest === manifest)) return { kind: 'nothing', why: 'quarantined' };
  const left = desired.assigned === true ? undefined : leftByHand(state, version);
  if (left !== undefined) {
    const reason = `a person went back from ${left.version}, so ${version}, which is older, is not taken by itself`;
    return { kind: 'hold', reason };
  }
  return {
    kind: 'take',
    choice: { kind: 'update', component, version, manifest, source, waits: state.row !== 'safe' },
  };
}

/** For whoever asks why; null while there is a transaction, or nothing is held. */
export function holdReason(state: StateBody, desired: Desired | null): string | null {
  if (state.transaction !== null) return null;
  const wanted = wantedOf(state, desired);
  return wanted.kind === 'hold' ? wanted.reason : null;
}

const belowFloorShape = z.object({ manifest: z.string() });
const noteBytesMax = 1_000;

function belowFloorPath(appliance: Appliance): string {
  return `${appliance.layout.run}/below-floor.json`;
}

/** Remembers (until a reboot) that a release is below the floor. A floor never falls, so asking again changes nothing. */
export function noteBelowFloor(appliance: Appliance, manifest: string): void {
  replaceJson(appliance.files, belowFloorPath(appliance), { manifest }, 0o600);
}

/** A person wants it tried again, and hears the refusal once more. */
export function forgetBelowFloor(appliance: Appliance): void {
  appliance.files.unlink(belowFloorPath(appliance));
}

export function isBelowFloor(appliance: Appliance, manifest: string): boolean {
  const note = belowFloorShape.safeParse(readJson(appliance.files, belowFloorPath(appliance), noteBytesMax));
  return note.success && note.data.manifest === manifest;
}
