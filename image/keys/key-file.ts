import { createPrivateKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readFile, unlink } from 'node:fs/promises';
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
import type { PassphraseSource } from './passphrase.ts';
import { isSealedPem, sealedPem } from './sealed-pem.ts';

export const privateEnd = '.pem';
/** Beside each private key: what may be given away, and what says whose key it is while it is under a passphrase. */
const publicEnd = '.public.json';

const publicFileShape = z.object({ v: z.literal(1), name: z.string().max(60), key: publicKeyShape, id: z.string() });

/** A key file as it lies there; the private part was not opened. */
export interface HeldKey {
  /** `root-1` of `root-1.pem`. */
  readonly name: string;
  readonly path: string;
  /** null: it is under a passphrase, and its public part is not there. */
  readonly publicKey: PublicKey | null;
  readonly isSealed: boolean;
}

function unreadable(message: string, next: string, cause?: unknown): ImageError {
  return new ImageError('key-unreadable', message, next, { cause });
}

function publicPathOf(path: string): string {
  return `${path.slice(0, -privateEnd.length)}${publicEnd}`;
}

/** What a public key file tells. The id is there so that a digit that was typed wrong is noticed. */
export async function readPublicKey(path: string): Promise<PublicKey> {
  const next = 'carry the .public.json file that was made with the key';
  try {
    const { key, id } = publicFileShape.parse(JSON.parse(await readFile(path, 'utf8')));
    if (tufKeyId(key) === id) return key;
  } catch (cause) {
    throw unreadable(`${path} is not a public key file`, next, cause);
  }
  throw unreadable(`${path} is damaged: its key does not have its id`, next);
}

function publicFile(name: string, key: PublicKey): Buffer {
  return Buffer.from(`${JSON.stringify({ v: 1, name, key, id: tufKeyId(key) }, null, 2)}\n`);
}

/**
 * Makes a key: the private part for its owner's eyes, under the passphrase where there is one, and the public part beside
 * it.
 * @throws ImageError `keys-exist`: a key is never written over
 */
export async function makeKeyFile(path: string, passphrase: string | null): Promise<KeyPair> {
  requireKeyName(path);
  const pair = generateKeyPair();
  const pem = passphrase === null ? privateKeyToPem(pair.privateKey) : sealedPem(pair.privateKey, passphrase);
  if (existsSync(path)) throw taken(path);
  const fresh = `${path}.new`;
  await replaceFile(fresh, Buffer.from(pem), 0o600);
  // Before the private part gets its name: under a passphrase it would not say whose key it is.
  await replaceFile(publicPathOf(path), publicFile(nameOf(path), pair.publicKey));
  try {
    // Unlike a rename, a link fails where the name is taken.
    await link(fresh, path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    throw taken(path, cause);
  } finally {
    await unlink(fresh);
  }
  return pair;
}

/** Takes back a key that was made for nothing. */
export async function removeKeyFile(path: string): Promise<void> {
  requireKeyName(path);
  await unlink(path);
  await unlink(publicPathOf(path));
}

function taken(path: string, cause?: unknown): ImageError {
  return new ImageError('keys-exist', `${path} is there already`, 'take another name, or move it away', { cause });
}

function requireKeyName(path: string): void {
  if (path.endsWith(privateEnd)) return;
  throw unreadable(`${path} does not end in ${privateEnd}`, `name the file of a private key NAME${privateEnd}`);
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
  return unreadable(`${path} and ${publicPathOf(path)} are not of one pair`, 'bring both back from the same copy');
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
    throw unreadable(`${path} can not be read`, 'check its name, and who you are', cause);
  }
}

function parsePem(path: string, pem: string): KeyPair {
  try {
    const privateKey = privateKeyFromPem(pem);
    return { privateKey, publicKey: publicKeyOf(privateKey) };
  } catch (cause) {
    throw unreadable(`${path} holds no Ed25519 key`, 'bring it back from a copy', cause);
  }
}

function unsealed(path: string, pem: string, passphrase: string): KeyPair {
  try {
    const privateKey = createPrivateKey({ key: pem, passphrase });
    if (privateKey.asymmetricKeyType === 'ed25519') return { privateKey, publicKey: publicKeyOf(privateKey) };
  } catch (cause) {
    throw new ImageError('passphrase-wrong', `the passphrase does not open ${path}`, 'type it again', { cause });
  }
  throw unreadable(`${path} holds no Ed25519 key`, 'bring it back from a copy');
}
