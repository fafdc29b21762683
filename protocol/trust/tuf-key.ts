import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Key } from '@tufjs/models';
import { type PublicKey, publicKeyShape, verifyBytes } from './ed25519.ts';

/**
 * A key that metadata names, of one of the types of the specification (TUF 4.2), ready to be compared and to verify.
 */
export interface TufKey {
  /** The same for every way to write the same key: whatever its id, its type's name, its encoding and its scheme. */
  readonly value: string;
  /** The form that our own tools use, which sign with Ed25519 only (tuf-sign.ts); null for every other type. */
  readonly ed25519: PublicKey | null;
  isSignatureOf(bytes: Uint8Array, signature: Buffer): boolean;
}

/** What a scheme verifies with. A key of a type that is not listed here is not supported and never counts. */
interface Scheme {
  readonly keyTypes: readonly string[];
  readonly hash: string;
  /** Node's name of the curve; null for RSA with PSS. */
  readonly curve: Curve | null;
}
interface Curve {
  readonly name: string;
  /** The size of an uncompressed point: 04, x and y. */
  readonly pointBytes: number;
  /** RFC 5480: the fixed SubjectPublicKeyInfo header before such a point. */
  readonly spkiHeader: Buffer;
}

const p256: Curve = {
  name: 'prime256v1',
  pointBytes: 65,
  spkiHeader: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
};
const p384: Curve = {
  name: 'secp384r1',
  pointBytes: 97,
  spkiHeader: Buffer.from('3076301006072a8648ce3d020106052b81040022036200', 'hex'),
};

const rsaPss = (hash: string): Scheme => ({ keyTypes: ['rsa'], hash, curve: null });
const schemes = new Map<string, Scheme>([
  ['rsassa-pss-sha256', rsaPss('sha256')],
  ['rsassa-pss-sha384', rsaPss('sha384')],
  ['rsassa-pss-sha512', rsaPss('sha512')],
  ['ecdsa-sha2-nistp256', { keyTypes: ['ecdsa', 'ecdsa-sha2-nistp256'], hash: 'sha256', curve: p256 }],
  ['ecdsa-sha2-nistp384', { keyTypes: ['ecdsa', 'ecdsa-sha2-nistp384'], hash: 'sha384', curve: p384 }],
]);

/**
 * The one place that knows the types of keys, so that comparing keys and verifying with them cannot disagree about a
 * type.
 * @returns null for a key of an unsupported type or scheme, or one that is not what it claims to be
 */
export function readKey({ keyType, scheme, keyVal }: Key): TufKey | null {
  const text = keyVal.public ?? '';
  if (keyType === 'ed25519') {
    const publicKey = publicKeyShape.safeParse(text);
    if (!publicKey.success || scheme !== 'ed25519') return null;
    const { data } = publicKey;
    return {
      value: `ed25519 ${data}`,
      ed25519: data,
      isSignatureOf: (bytes, signature) => verifyBytes(bytes, signature, data),
    };
  }
  const known = schemes.get(scheme);
  if (known?.keyTypes.includes(keyType) !== true) return null;
  const key = known.curve === null ? rsaKey(text) : curveKey(text, known.curve);
  if (key === null) return null;
  const padding = known.curve === null ? { padding: constants.RSA_PKCS1_PSS_PADDING } : {};
  return {
    value: numbersOf(key),
    ed25519: null,
    isSignatureOf: (bytes, signature) => verify(known.hash, bytes, { key, ...padding }, signature),
  };
}

/** The numbers that make up the key (RFC 7517), which are the same for all its encodings. */
function numbersOf(key: KeyObject): string {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  return kty === 'RSA' ? `rsa ${n} ${e}` : `${crv} ${x} ${y}`;
}

function rsaKey(text: string): KeyObject | null {
  const key = pemKey(text);
  return key?.asymmetricKeyType === 'rsa' ? key : null;
}

/** Both forms are in use: PEM, and the point in hex. */
function curveKey(text: string, { name, pointBytes, spkiHeader }: Curve): KeyObject | null {
  const isPoint = /^[0-9a-f]+$/i.test(text) && text.length === 2 * pointBytes;
  const key = isPoint ? derKey(Buffer.concat([spkiHeader, Buffer.from(text, 'hex')])) : pemKey(text);
  return key?.asymmetricKeyDetails?.namedCurve === name ? key : null;
}

function pemKey(text: string): KeyObject | null {
  // Only this form: from a private key, Node would derive the public one.
  return text.startsWith('-----BEGIN PUBLIC KEY-----') ? readable(() => createPublicKey(text)) : null;
}

function derKey(key: Buffer): KeyObject | null {
  return readable(() => createPublicKey({ key, format: 'der', type: 'spki' }));
}

function readable(make: () => KeyObject): KeyObject | null {
  try {
    return make();
  } catch (error) {
    // A stranger's text that is not a key does not count.
    if (error instanceof Error) return null;
    throw error;
  }
}
