import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { loadTrusted, type Trusted, updateRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { parseTargets } from '../../protocol/trust/tuf-metadata.ts';
import type { TrustPlace } from '../trust/trust-files.ts';
import { promote, storedRoot } from '../trust/trust-store.ts';
import { releaseTexts } from '../words/texts.ts';
import type { Bundle } from './open-bundle.ts';

/**
 * Metadata in a bundle may move this appliance's trust forward, never back: the roots that follow ours, then the
 * targets if they are newer than ours.
 * @throws TrustError
 */
export function takeCarriedMetadata(place: TrustPlace, trusted: Trusted, bundle: Bundle): Trusted {
  let current = trusted;
  const advance = (after: Trusted): void => {
    promote(place, current, after);
    current = after;
  };
  for (const { version, bytes } of bundle.roots) {
    const known = storedRoot(place, version);
    if (known !== null && !known.equals(bytes)) {
      throw new TrustError('tuf-mismatch', releaseTexts.carriedRootUnknown(version));
    }
    if (version > current.root.version + 1) {
      const missing = releaseTexts.rootMissing(current.root.version + 1);
      throw new TrustError('tuf-incomplete', releaseTexts.carriesRoots(version, missing));
    }
    if (version > current.root.version) advance(updateRoot(current, bytes));
  }
  const { version } = parseTargets(bundle.targets);
  const stored = current.targets;
  if (stored !== null && version < stored.version) {
    requireSignedOnce(place, current, bundle, version);
    return current;
  }
  advance(updateTargetsFromFile(current, bundle.targets));
  if (stored?.version === version && !stored.bytes.equals(bundle.targets)) {
    throw new TrustError('tuf-mismatch', releaseTexts.carriedTargetsUnknown(version));
  }
  return current;
}

/**
 * Older targets decide nothing. But a file with damaged targets is reported as damaged, so the targets must have been
 * signed once: by a key that some earlier root named, even if it was replaced since. Nothing is trusted by this.
 * @throws TrustError `tuf-threshold`
 */
function requireSignedOnce(place: TrustPlace, { root }: Trusted, bundle: Bundle, version: number): void {
  const carried = bundle.roots.map(({ bytes }) => bytes);
  for (const bytes of [root.bytes, ...carried.toReversed(), ...rootsBefore(place, root.version)]) {
    if (vouches(bytes, bundle.targets)) return;
  }
  throw new TrustError('tuf-threshold', releaseTexts.carriedTargetsUnsigned(version));
}

function* rootsBefore(place: TrustPlace, version: number): Generator<Buffer> {
  for (let before = version - 1; before >= version - metadataLimits.rootsPerWalkMax; before -= 1) {
    const bytes = storedRoot(place, before);
    if (bytes === null) return;
    yield bytes;
  }
}

/** False also for an invalid root: a bundle may carry anything as roots before our first. */
function vouches(root: Buffer, targets: Buffer): boolean {
  try {
    return loadTrusted({ root, timestamp: null, snapshot: null, targets }).targets !== null;
  } catch (error) {
    if (error instanceof TrustError) return false;
    throw error;
  }
}
