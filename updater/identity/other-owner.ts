import type { Claim } from '../../protocol/claim.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { copiedRoots } from '../trust/trust-begins.ts';
import { storedRoots } from '../trust/trust-store.ts';
import { identityTexts } from '../words/texts.ts';
import { loadPublicIdentity } from './identity.ts';
import { SetUpError } from './set-up-error.ts';

/**
 * A device with data has an owner: another server's claim does not take it over (S45).
 * @throws SetUpError `already-claimed`
 */
export function refuseOtherOwner(files: Files, layout: Layout, claim: Claim): void {
  const identity = loadPublicIdentity(files, layout);
  const known = knownRoots(files, layout);
  if (identity === null) {
    refuseOtherRoot(known, claim);
    return;
  }
  // A server that changed its root makes claims for the new one, which this appliance verified when it took it.
  if (identity.rootDigest === claim.root || known.includes(claim.root)) return;
  throw new SetUpError(
    'already-claimed',
    identityTexts.belongsElsewhere(identity.url, identity.name),
    identityTexts.belongsElsewhereNext,
  );
}

/**
 * An appliance with a damaged identity still knows which roots it has trusted: only a claim for one of them may claim
 * it again.
 */
function refuseOtherRoot(known: readonly Digest[], claim: Claim): void {
  if (known.length === 0 || known.includes(claim.root)) return;
  throw new SetUpError('already-claimed', identityTexts.ownerUnknown, identityTexts.ownerUnknownNext);
}

/** The roots that it has trusted, even if only their copy is left. */
function knownRoots(files: Files, layout: Layout): readonly Digest[] {
  return [...storedRoots({ files, layout }), ...copiedRoots({ files, layout }).map((root) => sha256(root))];
}
