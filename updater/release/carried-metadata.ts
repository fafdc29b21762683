import { type Trusted, updateRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { parseTargets, TrustError } from '../../protocol/trust/tuf-metadata.ts';
import type { Bundle } from './open-bundle.ts';
import { promote, storedRoot, type TrustPlace } from './trust-store.ts';

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
    if (version > current.root.version) advance(updateRoot(current, bytes));
  }
  // Older targets may be signed by a key that was replaced since: they decide nothing, so nothing is asked of them.
  const version = parseTargets(bundle.targets).version;
  const stored = current.targets;
  if (stored !== null && version < stored.version) return current;
  advance(updateTargetsFromFile(current, bundle.targets));
  if (stored?.version === version && !stored.bytes.equals(bundle.targets)) {
    throw new TrustError('tuf-mismatch', `the carried targets ${version} are not the ones that are known here`);
  }
  return current;
}
