import { join } from 'node:path';
import { z } from 'zod';
import type { Installed } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import { trustDigest } from '../release/trust-files.ts';

/** In run/: a reboot looks anew. Who asks to go back is answered by the metadata itself, never by this. */
const noteShape = z.object({ of: z.string(), manifest: z.string(), isRevoked: z.boolean() });
const noteBytesMax = 1_000;

/**
 * Was the previous version revoked? For what is shown in each run: the same metadata says the same of the same version,
 * so it is loaded and verified only when one of them is another than before.
 */
export async function isRevokedAsNoted(appliance: Appliance, previous: Installed): Promise<boolean> {
  const { files, layout } = appliance;
  const path = join(layout.run, 'revoked.json');
  const of = trustDigest(appliance);
  const note = noteShape.safeParse(readJson(files, path, noteBytesMax)).data;
  if (of !== null && note?.of === of && note.manifest === previous.manifest) return note.isRevoked;
  const { isRevokedNow } = await import('./acceptance.ts');
  const isRevoked = isRevokedNow(appliance, previous);
  if (of !== null) replaceJson(files, path, { of, manifest: previous.manifest, isRevoked }, 0o600);
  return isRevoked;
}
