import { join } from 'node:path';
import { bundleName } from '../../protocol/manifest.ts';
import type { Releases } from '../store/releases.ts';
import type { Rollouts } from '../store/rollouts.ts';
import type { ReleaseShelf } from './shelf.ts';
import { sizeOf } from './shelf-files.ts';

/**
 * The releases, as `app 1.0.52`, that may be offered and that no appliance can fetch: their file is gone, or has another
 * size. Its bytes are compared when it is published again.
 */
export function missingBundles(
  { rollouts, releases }: { readonly rollouts: Rollouts; readonly releases: Releases },
  { bundles }: ReleaseShelf,
): string[] {
  const missing = rollouts
    .offered()
    .filter(({ component, version }) => {
      const size = sizeOf(join(bundles, bundleName(component, version)));
      return size === null || size !== releases.find(component, version)?.bundle_bytes;
    })
    .map(({ component, version }) => `${component} ${version}`);
  return [...new Set(missing)];
}
