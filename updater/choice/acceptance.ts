import { manifestTargetName } from '../../protocol/manifest.ts';
import type { Installed, StateBody } from '../../protocol/state-record.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { findTarget } from '../../protocol/trust/tuf-targets.ts';
import type { Appliance } from '../appliance/appliance.ts';
import type { Acceptance } from '../release/require-acceptable.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { loadTrust } from '../trust/trust-store.ts';
import { choiceTexts } from '../words/texts.ts';
import { type WayBack, wayBackOf } from './way-back.ts';

/** What this appliance accepts now. */
export function acceptanceOf(
  appliance: Pick<Appliance, 'version' | 'settings'>,
  state: StateBody,
  byPerson: boolean,
): Acceptance {
  return {
    floor: state.floor,
    // A quarantined release is not taken automatically; a person who brings it knows what they do (I12).
    isQuarantined: (manifest) => !byPerson && state.quarantine.some((entry) => entry.manifest === manifest),
    updater: appliance.version,
    installed: { app: state.app.committed.version, updater: state.updater.committed.version, os: null },
    hardware: null,
    writesOs: appliance.settings.os !== null,
  };
}

/** The metadata that is trusted here; null when the stored metadata is incomplete and says nothing. */
export function knownTrust(appliance: Appliance): Trusted | null {
  try {
    return loadTrust(appliance);
  } catch (error) {
    if (!(error instanceof TrustError || error instanceof ReleaseError)) throw error;
    appliance.log(choiceTexts.metadataUnreadable(error.message));
    return null;
  }
}

/** Whether a person can go back now; see {@link wayBackOf}. */
export function wayBack(appliance: Appliance, state: StateBody): WayBack {
  const { previous } = state.app;
  return wayBackOf(appliance, state, previous !== null && isRevokedNow(appliance, previous));
}

/** Decided by the metadata that is trusted now. */
export function isRevokedNow(appliance: Appliance, installed: Installed): boolean {
  return isRevoked(knownTrust(appliance), installed);
}

/** Without targets, nothing counts as revoked. */
function isRevoked(trusted: Trusted | null, { version, manifest }: Installed): boolean {
  if (trusted === null || trusted.targets === null) return false;
  try {
    return findTarget(trusted, manifestTargetName('app', version)).sha256 !== manifest;
  } catch (error) {
    if (error instanceof TrustError && error.code === 'tuf-target-unknown') return true;
    throw error;
  }
}
