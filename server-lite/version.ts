import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const namedShape = z.object({ version: z.string() });

/** The version that this program was released as; in a checkout, the package's. */
export function releaseVersion(): string {
  const released = join(import.meta.dirname, 'release.json');
  const file = existsSync(released) ? released : join(import.meta.dirname, '..', 'package.json');
  return namedShape.parse(JSON.parse(readFileSync(file, 'utf8'))).version;
}
