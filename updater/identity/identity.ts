import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { digestShape, sha256 } from '../../protocol/digest.ts';
import { applianceIdShape } from '../../protocol/ids.ts';
import type { Layout } from '../../protocol/layout.ts';
import { generateKeyPair, privateKeyFromPem, publicKeyShape } from '../../protocol/trust/ed25519.ts';
import type { Files } from '../effects/files.ts';
import { knownRecord } from '../record/record-store.ts';
import { identityTexts } from '../words/texts.ts';
import { jsonBy, readWithTwin } from './twin.ts';

/** updater/identity.json: this appliance's identity and the keys that it believes; written by setup. */
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

/** The public part of the identity; null when setup has not been run, or it is damaged. */
export function loadPublicIdentity(files: Files, layout: Layout): Identity | null {
  return readWithTwin(files, layout.identity, bytesMax, jsonBy(identityShape))?.value ?? null;
}

export interface Known {
  readonly identity: Identity;
  readonly key: KeyObject;
  /** Neither the identity nor its copy can be read: this appliance continues without a server. */
  readonly isLost: boolean;
}

/**
 * This appliance's identity. If it is lost, there is no server, and everything else works. The agent's copy is not
 * used, because the agent must not choose the keys that the updater believes.
 * @throws IdentityError when setup has not been run
 */
export function loadIdentity(files: Files, layout: Layout): Known {
  const identity = loadPublicIdentity(files, layout);
  const key = readWithTwin(files, layout.identityKey, bytesMax, keyOrNull)?.value ?? null;
  if (identity !== null && key !== null) return { identity, key, isLost: false };
  // A completely set-up appliance has its records. An appliance without them is not called damaged.
  if (knownRecord(files, layout.stateRecords) === null && !isMarked(files, layout)) {
    throw new IdentityError(identityTexts.noIdentity);
  }
  return { identity: identity ?? nobody, key: key ?? generateKeyPair().privateKey, isLost: true };
}

export const lostIdentityText = identityTexts.identityDamaged;

/** This host name can never be reached: RFC 6761 section 6.4. */
const nobody: Identity = {
  appliance: 'hf-00000000000000000000',
  name: '',
  site: '',
  url: 'http://identity-damaged.invalid',
  answerKeys: [],
  rootDigest: sha256(''),
};

/** Was there an identity that was damaged? */
function isMarked(files: Files, layout: Layout): boolean {
  return files.list(layout.updater).some((name) => /^identity\..*\.damaged/.test(name));
}

export function keyOrNull(bytes: Buffer): KeyObject | null {
  try {
    return privateKeyFromPem(bytes.toString('ascii'));
  } catch (error) {
    if (error instanceof TypeError || (error instanceof Error && 'code' in error)) return null; // it is not a key
    throw error;
  }
}
