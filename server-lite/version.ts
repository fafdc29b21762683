import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * When this source was released, for a checkout; raised with each release. No clock of a server that runs it is before
 * this, so it must never be later than the commit that carries it.
 */
const sourceReleasedMs = Date.parse('2026-11-01T00:00:00Z');

const releaseShape = z.object({ version: z.string(), builtAt: z.int().min(0).optional() });

function release(): z.infer<typeof releaseShape> {
  const released = join(import.meta.dirname, 'release.json');
  const file = existsSync(released) ? released : join(import.meta.dirname, '..', 'package.json');
  return releaseShape.parse(JSON.parse(readFileSync(file, 'utf8')));
}

/** The version that this program was released as; in a checkout, the package's. */
export function releaseVersion(): string {
  return release().version;
}

/** When this program was built; in a checkout, when its source was released. Milliseconds since 1970. */
export function builtAtMs(): number {
  const { builtAt } = release();
  return builtAt === undefined ? sourceReleasedMs : builtAt * 1000;
}
