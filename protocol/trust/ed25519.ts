import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';

/** A raw Ed25519 public key (RFC 8032): 32 bytes as 64 lower-case hex digits. */
export const publicKeyShape = z.string().regex(/^[0-9a-f]{64}$/, 'an Ed25519 public key is 64 lower-case hex digits');
export type PublicKey = z.infer<typeof publicKeyShape>;

// RFC 8410: the fixed SubjectPublicKeyInfo header before the 32 bytes of an Ed25519 key.
const spkiHeader = Buffer.from('302a300506032b6570032100', 'hex');

export interface KeyPair {
  readonly publicKey: PublicKey;
  readonly privateKey: KeyObject;
}

export function generateKeyPair(): KeyPair {
  const pair = generateKeyPairSync('ed25519');
  return { publicKey: publicKeyOf(pair.privateKey), privateKey: pair.privateKey };
}

// RFC 8410: the fixed PrivateKeyInfo header before the 32 bytes that an Ed25519 key is made from.
const pkcs8Header = Buffer.from('302e020100300506032b657004220420', 'hex');
const seedBytes = 32;

/** @returns the private key of a seed of 32 bytes (RFC 8032); null: it is not such a seed */
export function privateKeyFromSeed(seed: Buffer): KeyObject | null {
  if (seed.length !== seedBytes) return null;
  return createPrivateKey({ key: Buffer.concat([pkcs8Header, seed]), format: 'der', type: 'pkcs8' });
}

/** @returns the raw public key of a private key */
export function publicKeyOf(privateKey: KeyObject): PublicKey {
  return createPublicKey(privateKey)
    .export({ format: 'der', type: 'spki' })
    .subarray(spkiHeader.length)
    .toString('hex');
}

export function privateKeyToPem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** @throws when the text is not an unencrypted PKCS#8 PEM of an Ed25519 key */
export function privateKeyFromPem(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ed25519')
    throw new TypeError(`expected an Ed25519 key, found ${key.asymmetricKeyType}`);
  return key;
}

export function signBytes(bytes: Uint8Array, privateKey: KeyObject): Buffer {
  return sign(null, bytes, privateKey);
}

/** False for a wrong or malformed signature; never throws on input from outside. */
export function verifyBytes(bytes: Uint8Array, signature: Uint8Array, publicKey: PublicKey): boolean {
  if (signature.length !== 64 || !publicKeyShape.safeParse(publicKey).success) return false;
  const key = createPublicKey({
    key: Buffer.concat([spkiHeader, Buffer.from(publicKey, 'hex')]),
    format: 'der',
    type: 'spki',
  });
  return verify(null, bytes, key, signature);
}
