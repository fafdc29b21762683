import { join } from 'node:path';
import { generateKeyPair, type PublicKey } from '../../protocol/trust/ed25519.ts';
import { type OpenedChange, writeChange } from '../ceremony/change.ts';
import { keyByPrefix, keysOf, proposeRotation, type RotatedRole, type Rotation } from '../ceremony/rotation.ts';
import { partsFor } from '../ceremony/sign-change.ts';
import { changePath, requireNoWaiting, signWithRing } from '../ceremony/sign-here.ts';
import { ImageError } from '../errors.ts';
import { withLock } from '../lock.ts';
import type { OnlineRole, ServerKeys } from '../repository-keys.ts';
import { readSigned } from '../repository-metadata.ts';
import { makeKeyFile, readPublicKey, removeKeyFile } from './key-file.ts';
import { keyPath, nextKeyName, readKeyRing } from './key-ring.ts';
import type { PassphraseSource } from './passphrase.ts';

export interface RotationRequest {
  readonly dir: string;
  readonly role: RotatedRole;
  /** First digits of ids. */
  readonly remove: readonly string[];
  /** Public key files. */
  readonly add: readonly string[];
  /** One more key: made here, or for the server's roles the one that it has ready. */
  readonly isNew: boolean;
  readonly threshold: number | null;
  /** null: it was not given; needed for the server's roles. */
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
  /** Where it was, or would be, written. */
  readonly path: string;
  /** The file of a key that was, or would be, made for it. */
  readonly newKey: string | null;
  /** Of a dry run: the files of keys here that may sign it, beside a new one. */
  readonly wouldSign: readonly string[];
}

/**
 * Writes the change that a rotation is, with the signatures that the keys here can make. The repository stays as it is
 * until the change is applied.
 * @throws ImageError
 */
export async function rotateKeys(request: RotationRequest): Promise<ProposedRotation> {
  return request.isDry ? rotate(request) : withLock(request.dir, () => rotate(request));
}

async function rotate(request: RotationRequest): Promise<ProposedRotation> {
  const { dir, role, isDry, now } = request;
  const signed = await readSigned(dir);
  const present = keysOf(signed, role).keys;
  const isReplacement = request.remove.length === 0 && request.add.length === 0 && !request.isNew;
  if (isReplacement && role === 'root' && request.threshold === null) {
    const next = 'say which key goes (--remove KEYID), which comes (--new, --add PUBLIC.json), or how many sign';
    throw new ImageError('rotation-invalid', 'root has several keys', next);
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
    // A key that no change names would only be mistaken for one that counts.
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

/** The server's next key; or a stand-in for one that is made here, under its path to be. */
async function freshKey({ dir, role, serverKeys }: RotationRequest): Promise<{ key: PublicKey; path: string | null }> {
  if (!isOnline(role)) {
    const name = nextKeyName(await readKeyRing(dir), role);
    return { key: generateKeyPair().publicKey, path: keyPath(dir, name) };
  }
  const key = serverKeys?.next?.[role];
  if (key !== undefined) return { key, path: null };
  throw new ImageError(
    'server-keys-invalid',
    `the server's next ${role} key is not known`,
    `give the server's newest ${join('DATA', 'public-keys.json')} with --server-keys: the server makes that key, and keeps it`,
  );
}
