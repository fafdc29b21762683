import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { loadTrusted, type Trusted, updateRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { parseTargets } from '../../protocol/trust/tuf-metadata.ts';
import type { Bundle } from './open-bundle.ts';
import type { TrustPlace } from './trust-files.ts';
import { promote, storedRoot } from './trust-store.ts';

/**
 * What a bundle carries may bring the trust of this appliance forward, never back: the roots that follow ours, then
 * the targets when they are newer than ours (DESIGN section 5, "from a file").
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
      throw new TrustError('tuf-mismatch', `the carried root ${version} is not the one that is known here`);
    }
    if (version > current.root.version + 1) {
      const missing = `${current.root.version + 1} is missing, which leads from the one that is known here`;
      throw new TrustError('tuf-incomplete', `the bundle carries root ${version}, and root ${missing}`);
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
    throw new TrustError('tuf-mismatch', `the carried targets ${version} are not the ones that are known here`);
  }
  return current;
}

/**
 * Older targets decide nothing. But a file in which they are damaged is told to be damaged, so they must have been signed
 * once: by a key that some root on the way named, which may have been replaced since. Nothing is trusted by this.
 * @throws TrustError `tuf-threshold`
 */
function requireSignedOnce(place: TrustPlace, { root }: Trusted, bundle: Bundle, version: number): void {
  const carried = bundle.roots.map(({ bytes }) => bytes);
  for (const bytes of [root.bytes, ...carried.toReversed(), ...rootsBefore(place, root.version)]) {
    if (vouches(bytes, bundle.targets)) return;
  }
  throw new TrustError('tuf-threshold', `the carried targets ${version} are not signed as any known root asks`);
}

function* rootsBefore(place: TrustPlace, version: number): Generator<Buffer> {
  for (let before = version - 1; before >= version - metadataLimits.rootsPerWalkMax; before -= 1) {
    const bytes = storedRoot(place, before);
    if (bytes === null) return;
    yield bytes;
  }
}

/** False also for a root that is not one: a bundle may carry anything for those before our first. */
function vouches(root: Buffer, targets: Buffer): boolean {
  try {
    return loadTrusted({ root, timestamp: null, snapshot: null, targets }).targets !== null;
  } catch (error) {
    if (error instanceof TrustError) return false;
    throw error;
  }
}
