import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { digestShape } from '../protocol/digest.ts';
import { applianceIdShape } from '../protocol/ids.ts';
import type { Layout } from '../protocol/layout.ts';
import { privateKeyFromPem, publicKeyShape } from '../protocol/trust/ed25519.ts';
import { readFile, readJson } from './effects/durable.ts';
import type { Files } from './effects/files.ts';

/** updater/identity.json: who this appliance is and whom it believes; written by setup. */
export const identityShape = z.object({
  appliance: applianceIdShape,
  name: z.string().max(60),
  site: z.string().max(60),
  url: z.url().max(300),
  answerKeys: z.array(publicKeyShape).min(1),
  rootDigest: digestShape,
});
export type Identity = z.infer<typeof identityShape>;

const bytesMax = 16 * 1024;

export class IdentityError extends Error {
  readonly code = 'identity-missing';
}

/** What is no secret of it; null when setup has not been run. */
export function loadPublicIdentity(files: Files, layout: Layout): Identity | null {
  const identity = readJson(files, layout.identity, bytesMax);
  return identity === null ? null : identityShape.parse(identity);
}

/** @throws IdentityError when setup has not been run */
export function loadIdentity(files: Files, layout: Layout): { identity: Identity; key: KeyObject } {
  const identity = loadPublicIdentity(files, layout);
  const pem = readFile(files, layout.identityKey, bytesMax);
  if (identity === null || pem === null) {
    throw new IdentityError('this appliance has no identity yet: run holdfast-updater setup --claim CODE');
  }
  return { identity, key: privateKeyFromPem(pem.toString('ascii')) };
}
