import { join } from 'node:path';
import { z } from 'zod';
import type { Installed } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { trustDigest } from '../trust/trust-files.ts';

/**
 * In run/: after a reboot it is determined again. A person who asks to go back gets the answer of the metadata itself.
 */
const noteShape = z.object({ of: z.string(), manifest: z.string(), isRevoked: z.boolean() });
const noteBytesMax = 1_000;

/**
 * Was the previous version revoked? For display in each run: the same metadata gives the same answer for the same
 * version, so it is loaded and verified only when one of them has changed.
 */
export async function isRevokedAsNoted(appliance: Appliance, previous: Installed): Promise<boolean> {
  const { files, layout } = appliance;
  const path = join(layout.run, 'revoked.json');
  const of = trustDigest(appliance);
  const note = readKept(files, path, noteBytesMax, noteShape);
  if (of !== null && note?.of === of && note.manifest === previous.manifest) return note.isRevoked;
  const { isRevokedNow } = await import('./acceptance.ts');
  const isRevoked = isRevokedNow(appliance, previous);
  if (of !== null) replaceJson(files, path, { of, manifest: previous.manifest, isRevoked }, 0o600);
  return isRevoked;
}
