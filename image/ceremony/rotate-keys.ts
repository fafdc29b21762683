import { join } from 'node:path';
import { generateKeyPair, type PublicKey } from '../../protocol/trust/ed25519.ts';
import { ImageError } from '../errors.ts';
import { makeKeyFile, readPublicKey, removeKeyFile } from '../keys/key-file.ts';
import { keyPath, nextKeyName, readKeyRing } from '../keys/key-ring.ts';
import type { PassphraseSource } from '../keys/passphrase.ts';
import type { OnlineRole, ServerKeys } from '../repository-keys.ts';
import { readSigned, withRepositoryLock } from '../repository-metadata.ts';
import { ceremonyTexts } from '../texts.ts';
import { type OpenedChange, writeChange } from './change.ts';
import { keyByPrefix, keysOf, proposeRotation, type RotatedRole, type Rotation } from './rotation.ts';
import { partsFor } from './sign-change.ts';
import { changePath, requireNoWaiting, signWithRing } from './sign-here.ts';

export interface RotationRequest {
  readonly dir: string;
  readonly role: RotatedRole;
  /** First digits of key ids. */
  readonly remove: readonly string[];
  /** Public key files. */
  readonly add: readonly string[];
  /** Adds one more key: made here or, for the server's roles, the one that the server has ready. */
  readonly isNew: boolean;
  readonly threshold: number | null;
  /** null: not given; needed for the server's roles. */
  readonly serverKeys: ServerKeys | null;
  /** null: in the repository's directory. */
  readonly out: string | null;
  readonly passphrases: PassphraseSource;
  /** For a key that is made here; null: none. */
  readonly newPassphrase: () => Promise<string | null>;
  readonly isDry: boolean;
  readonly now: Date;
}

export interface ProposedRotation {
  readonly change: OpenedChange;
  /** Where the change was, or would be, written. */
  readonly path: string;
  /** The file of the key that was, or would be, made for it. */
  readonly newKey: string | null;
  /** For a dry run: the files of keys here that may sign it, besides a new one. */
  readonly wouldSign: readonly string[];
}

/**
 * Writes the change for a rotation, with the signatures that the keys here can make. The repository stays as it is
 * until the change is applied.
 * @throws ImageError
 */
export async function rotateKeys(request: RotationRequest): Promise<ProposedRotation> {
  return request.isDry ? rotate(request) : withRepositoryLock(request.dir, () => rotate(request));
}

async function rotate(request: RotationRequest): Promise<ProposedRotation> {
  const { dir, role, isDry, now } = request;
  const signed = await readSigned(dir);
  const present = keysOf(signed, role).keys;
  const isReplacement = request.remove.length === 0 && request.add.length === 0 && !request.isNew;
  if (isReplacement && role === 'root' && request.threshold === null) {
    throw new ImageError('rotation-invalid', ceremonyTexts.severalRootKeys, ceremonyTexts.severalRootKeysNext);
  }
  const replacesAll = isReplacement && request.threshold === null;
  const added: PublicKey[] = await Promise.all(request.add.map(readPublicKey));
  const remove = replacesAll ? present : request.remove.map((prefix) => keyByPrefix(present, prefix));
  const fresh = request.isNew || replacesAll ? await freshKey(request) : null;
  const add = fresh === null ? added : [...added, fresh.key];
  const rotation: Rotation = { role, remove, add, threshold: request.threshold };
  const proposed = proposeRotation(signed, rotation, now);
  const path = request.out ?? changePath(dir, proposed);
  requireNoWaiting(path);
  const newKey = fresh?.path ?? null;
  if (isDry) return { change: proposed, path, newKey, wouldSign: await signersHere(dir, proposed) };
  const sign = async (change: OpenedChange): Promise<ProposedRotation> => {
    const partly = await signWithRing(change, await readKeyRing(dir), request.passphrases);
    await writeChange(path, partly);
    return { change: partly, path, newKey, wouldSign: [] };
  };
  if (newKey === null) return sign(proposed);
  const { publicKey } = await makeKeyFile(newKey, await request.newPassphrase());
  try {
    return await sign(proposeRotation(signed, { ...rotation, add: [...added, publicKey] }, now));
  } catch (error) {
    // A key that no change names could be mistaken for one that counts.
    await removeKeyFile(newKey);
    throw error;
  }
}

async function signersHere(dir: string, change: OpenedChange): Promise<string[]> {
  const ring = await readKeyRing(dir);
  return ring.flatMap(({ publicKey, path }) =>
    publicKey !== null && partsFor(change, { publicKey }).length > 0 ? [path] : [],
  );
}

const onlineRoles: readonly RotatedRole[] = ['answer', 'snapshot', 'timestamp'] satisfies OnlineRole[];

function isOnline(role: RotatedRole): role is OnlineRole {
  return onlineRoles.includes(role);
}

/** The server's next key; or a stand-in for one that is made here, with its future path. */
async function freshKey({ dir, role, serverKeys }: RotationRequest): Promise<{ key: PublicKey; path: string | null }> {
  if (!isOnline(role)) {
    const name = nextKeyName(await readKeyRing(dir), role);
    return { key: generateKeyPair().publicKey, path: keyPath(dir, name) };
  }
  const key = serverKeys?.next?.[role];
  if (key !== undefined) return { key, path: null };
  throw new ImageError(
    'server-keys-invalid',
    ceremonyTexts.noNextKey(role),
    ceremonyTexts.noNextKeyNext(join('DATA', 'public-keys.json')),
  );
}
