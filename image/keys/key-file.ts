import { createPrivateKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readFile, rm, unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import {
  generateKeyPair,
  type KeyPair,
  type PublicKey,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  publicKeyShape,
} from '../../protocol/trust/ed25519.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { isMissing, replaceFile } from '../durable.ts';
import { ImageError } from '../errors.ts';
import { keyTexts } from '../texts.ts';
import type { PassphraseSource } from './passphrase.ts';
import { isSealedPem, sealedPem } from './sealed-pem.ts';

export const privateEnd = '.pem';
/** Beside each private key: the part that may be given away, and that identifies a key under a passphrase. */
const publicEnd = '.public.json';

const publicFileShape = z.object({ v: z.literal(1), name: z.string().max(60), key: publicKeyShape, id: z.string() });

/** A key file as it is on the disk; the private part is not opened. */
export interface HeldKey {
  /** `root-1` of `root-1.pem`. */
  readonly name: string;
  readonly path: string;
  /** null: the key is under a passphrase, and its public part is missing. */
  readonly publicKey: PublicKey | null;
  readonly isSealed: boolean;
}

function unreadable(message: string, next: string, cause?: unknown): ImageError {
  return new ImageError('key-unreadable', message, next, { cause });
}

function publicPathOf(path: string): string {
  return `${path.slice(0, -privateEnd.length)}${publicEnd}`;
}

/** Reads a public key file. The id is in it so that a mistyped digit is noticed. */
export async function readPublicKey(path: string): Promise<PublicKey> {
  try {
    const { key, id } = publicFileShape.parse(JSON.parse(await readFile(path, 'utf8')));
    if (tufKeyId(key) === id) return key;
  } catch (cause) {
    throw unreadable(keyTexts.noPublicKey(path), keyTexts.publicKeyNext, cause);
  }
  throw unreadable(keyTexts.publicKeyDamaged(path), keyTexts.publicKeyNext);
}

function publicFile(name: string, key: PublicKey): Buffer {
  return Buffer.from(`${JSON.stringify({ v: 1, name, key, id: tufKeyId(key) }, null, 2)}\n`);
}

/**
 * Makes a key: the private part, readable by its owner only and under the passphrase if there is one, and the public
 * part beside it.
 * @throws ImageError `keys-exist`: a key is never overwritten
 */
export async function makeKeyFile(path: string, passphrase: string | null): Promise<KeyPair> {
  requireKeyName(path);
  const pair = generateKeyPair();
  const pem = passphrase === null ? privateKeyToPem(pair.privateKey) : sealedPem(pair.privateKey, passphrase);
  if (existsSync(path)) throw taken(path);
  const fresh = `${path}.new`;
  await replaceFile(fresh, Buffer.from(pem), 0o600);
  // Before the private part gets its name: under a passphrase it would not show whose key it is.
  await replaceFile(publicPathOf(path), publicFile(nameOf(path), pair.publicKey));
  try {
    // Unlike a rename, a link fails if the name is taken.
    await link(fresh, path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    throw taken(path, cause);
  } finally {
    await unlink(fresh);
  }
  return pair;
}

/** Removes a key that was made in vain, and whatever its making left. */
export async function removeKeyFile(path: string): Promise<void> {
  requireKeyName(path);
  for (const left of [path, `${path}.new`, publicPathOf(path)]) await rm(left, { force: true });
}

function taken(path: string, cause?: unknown): ImageError {
  return new ImageError('keys-exist', keyTexts.exists(path), keyTexts.existsNext, { cause });
}

function requireKeyName(path: string): void {
  if (path.endsWith(privateEnd)) return;
  throw unreadable(keyTexts.otherEnd(path, privateEnd), keyTexts.otherEndNext(privateEnd));
}

function nameOf(path: string): string {
  return basename(path, privateEnd);
}

/** @throws ImageError `key-unreadable` */
export async function lookAtKey(path: string): Promise<HeldKey> {
  requireKeyName(path);
  const pem = await readPem(path);
  const isSealed = isSealedPem(pem);
  const told = await readPublicKey(publicPathOf(path)).catch((error: unknown) => {
    if (error instanceof ImageError && isMissing(error.cause)) return null;
    throw error;
  });
  const publicKey = isSealed ? told : parsePem(path, pem).publicKey;
  if (told !== null && told !== publicKey) throw notAPair(path);
  return { name: nameOf(path), path, publicKey, isSealed };
}

function notAPair(path: string): ImageError {
  return unreadable(keyTexts.noPair(path, publicPathOf(path)), keyTexts.noPairNext);
}

/** @throws ImageError `key-unreadable`, `passphrase-wrong`, `passphrase-unusable` */
export async function openKey(held: HeldKey, passphrases: PassphraseSource): Promise<KeyPair> {
  const pem = await readPem(held.path);
  const pair = held.isSealed ? unsealed(held.path, pem, await passphrases(held.path)) : parsePem(held.path, pem);
  if (held.publicKey !== null && held.publicKey !== pair.publicKey) throw notAPair(held.path);
  return pair;
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(keyTexts.unreadable(path), keyTexts.unreadableNext, cause);
  }
}

function parsePem(path: string, pem: string): KeyPair {
  try {
    const privateKey = privateKeyFromPem(pem);
    return { privateKey, publicKey: publicKeyOf(privateKey) };
  } catch (cause) {
    throw unreadable(keyTexts.noEd25519(path), keyTexts.noEd25519Next, cause);
  }
}

function unsealed(path: string, pem: string, passphrase: string): KeyPair {
  try {
    const privateKey = createPrivateKey({ key: pem, passphrase });
    if (privateKey.asymmetricKeyType === 'ed25519') return { privateKey, publicKey: publicKeyOf(privateKey) };
  } catch (cause) {
    throw new ImageError('passphrase-wrong', keyTexts.passphraseWrong(path), keyTexts.passphraseWrongNext, { cause });
  }
  throw unreadable(keyTexts.noEd25519(path), keyTexts.noEd25519Next);
}
