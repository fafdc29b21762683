import { manifestTargetName } from '../../protocol/manifest.ts';
import type { Installed, StateBody } from '../../protocol/state-record.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { findTarget } from '../../protocol/trust/tuf-targets.ts';
import type { Appliance } from '../appliance.ts';
import { ReleaseError } from '../release/release-error.ts';
import type { Acceptance } from '../release/require-acceptable.ts';
import { loadTrust } from '../release/trust-store.ts';
import { readSeal } from '../release/verify-slot.ts';

/** What this appliance takes now. */
export function acceptanceOf(appliance: Appliance, state: StateBody, byPerson: boolean): Acceptance {
  return {
    floor: state.floor,
    // A quarantined release is not taken by itself; a person who brings it knows what they do (I12).
    isQuarantined: (manifest) => !byPerson && state.quarantine.some((entry) => entry.manifest === manifest),
    updater: appliance.version,
    installed: { app: state.app.committed.version, updater: state.updater.committed.version, os: null },
    hardware: null,
    writesOs: appliance.settings.os !== null,
  };
}

/** The metadata that is trusted here; null when what is stored is not whole, so that it can say nothing. */
export function knownTrust(appliance: Appliance): Trusted | null {
  try {
    return loadTrust(appliance);
  } catch (error) {
    if (!(error instanceof TrustError || error instanceof ReleaseError)) throw error;
    appliance.log(`the stored release metadata can not be read: ${error.message}`);
    return null;
  }
}

export type NoReturnCode = 'no-previous' | 'revoked' | 'floor' | 'state-not-readable';

/** Whether a person can go back to the previous version now. */
export type WayBack =
  | { readonly kind: 'open'; readonly previous: Installed }
  | { readonly kind: 'refused'; readonly code: NoReturnCode; readonly text: string };

/**
 * What a trial reverts to is never asked this: the committed version stays launchable, whatever was revoked since (I7).
 */
export function wayBack(appliance: Appliance, state: StateBody): WayBack {
  const refused = (code: NoReturnCode, text: string): WayBack => ({ kind: 'refused', code, text });
  const { previous, committed } = state.app;
  if (previous === null) {
    const text = 'There is no previous version to go back to. Install a bundle from a file instead.';
    return refused('no-previous', text);
  }
  if (isRevoked(knownTrust(appliance), previous)) {
    const text =
      `${previous.version} was revoked: it is not among the releases that are listed now, so nobody can go back to it. ` +
      `${committed.version} runs on. Install a release that is listed instead.`;
    return refused('revoked', text);
  }
  if (previous.securityVersion < state.floor.app) {
    const text =
      `${previous.version} has security version ${previous.securityVersion}, and the floor here is ${state.floor.app}. ` +
      `${committed.version} runs on. Install a newer release instead.`;
    return refused('floor', text);
  }
  if (!canRead(appliance, previous.slot, committed.slot)) {
    const text =
      `${previous.version} can not read the data that ${committed.version} writes, so going back would lose it. ` +
      'Nothing was changed. Install a newer release instead.';
    return refused('state-not-readable', text);
  }
  return { kind: 'open', previous };
}

/** Without targets nobody has said that anything is revoked. */
function isRevoked(trusted: Trusted | null, { version, manifest }: Installed): boolean {
  if (trusted === null || trusted.targets === null) return false;
  try {
    return findTarget(trusted, manifestTargetName('app', version)).sha256 !== manifest;
  } catch (error) {
    if (error instanceof TrustError && error.code === 'tuf-target-unknown') return true;
    throw error;
  }
}

/** Can the version in `slot` read what the version in `current` wrote? */
function canRead({ files, layout }: Appliance, slot: string, current: string): boolean {
  const [reader, writer] = [slot, current].map((name) => readSeal(files, layout.slot('app', name)));
  if (!reader || !writer) return false;
  const { min, max } = reader.state.reads;
  return writer.state.writes >= min && writer.state.writes <= max;
}
