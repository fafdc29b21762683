import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { copyPayloadType } from '../../protocol/claim.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import type { Layout } from '../../protocol/layout.ts';
import { publicKeyOf } from '../../protocol/trust/ed25519.ts';
import { type Envelope, sealEnvelope } from '../../protocol/trust/envelope.ts';
import type { Files } from '../effects/files.ts';
import { keyOrNull, loadPublicIdentity } from '../identity/identity.ts';
import { ownKey } from '../identity/own-key.ts';
import { readWithTwin, twinOf } from '../identity/twin.ts';

/**
 * `setup --new-identity`: a copied data partition becomes an appliance of its own. Its new keys wait beside the old
 * ones until the server knows them, so that a refused claim changes nothing. The agent's key is made and put in place
 * first: wherever this is cut off, repeating it continues with the same keys.
 */

type Place = { readonly files: Files; readonly layout: Layout };
export type OwnKeys = Readonly<Record<'updater' | 'agent', KeyObject>>;

export const waitingIn = ({ updater }: Pick<Layout, 'updater'>) => ({
  updater: join(updater, 'new-identity.key'),
  agent: join(updater, 'new-agent.key'),
});

const keyBytesMax = 4 * 1024;

export function waitingKeys({ files, layout }: Place): OwnKeys {
  const waiting = waitingIn(layout);
  const isUpdatersThere = files.stat(waiting.updater) !== null;
  // The agent's key was already put in place.
  const isAgentsInPlace = isUpdatersThere && files.stat(waiting.agent) === null;
  const agent = ownKey(files, isAgentsInPlace ? layout.agentKey : waiting.agent);
  return { agent, updater: ownKey(files, waiting.updater) };
}

/** The appliance that this is a copy of, signed with the key that both have; null: the old identity is not whole. */
export function copyOf({ files, layout }: Place, updater: KeyObject): Envelope | null {
  const former = loadPublicIdentity(files, layout);
  const key = readWithTwin(files, layout.identityKey, keyBytesMax, keyOrNull)?.value ?? null;
  if (former === null || key === null) return null;
  const copy = applianceIdOf(Buffer.from(publicKeyOf(updater), 'hex'));
  return copy === former.appliance
    ? null
    : sealEnvelope(copyPayloadType, { v: 1, appliance: former.appliance, copy }, key);
}

/** The server knows the new keys: they replace the old ones, and the counter of the old ones is dropped. */
export function putKeysInPlace({ files, layout }: Place): void {
  const waiting = waitingIn(layout);
  if (files.stat(waiting.agent) !== null) files.rename(waiting.agent, layout.agentKey);
  files.syncDirectory(layout.updater);
  files.unlink(layout.counter);
  // If the power fails here, there is a key and no identity: setup with the same claim finishes it.
  for (const old of [twinOf(layout.identityKey), twinOf(layout.agentKey)]) files.unlink(old);
  files.rename(waiting.updater, layout.identityKey);
  for (const path of [waiting.updater, waiting.agent]) files.unlink(twinOf(path));
  files.syncDirectory(layout.updater);
}
