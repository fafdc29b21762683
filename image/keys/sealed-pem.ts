import { createCipheriv, type KeyObject, randomBytes, scryptSync } from 'node:crypto';

/**
 * PKCS#8 under a passphrase, as OpenSSL reads it: PBES2 (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC. Node's own
 * export would use PBKDF2 with 2,048 rounds, which a graphics card tries millions of times a second.
 */

/** 16 MiB, five times: a quarter of a second. OpenSSL gives scrypt at most 32 MiB when it reads such a file. */
const cost = 16_384;
const blockSize = 8;
const parallelization = 5;
const saltBytes = 16;
const keyBytes = 32;
const ivBytes = 16;
const lineChars = 64;

const tags = { integer: 0x02, octets: 0x04, sequence: 0x30 } as const;
// Object identifiers, in DER: 1.2.840.113549.1.5.13, 1.3.6.1.4.1.11591.4.11, 2.16.840.1.101.3.4.1.42.
const pbes2 = Buffer.from('06092a864886f70d01050d', 'hex');
const scrypt = Buffer.from('06092b06010401da47040b', 'hex');
const aes256Cbc = Buffer.from('060960864801650304012a', 'hex');

/** X.690: a tag, the length (everything here is shorter than 256 bytes), the content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function integer(value: number): Buffer {
  const digits = value.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  // A leading set bit would make the number negative.
  return der(tags.integer, (bytes[0] ?? 0) < 128 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]));
}

/** The PEM of a private key that only the passphrase opens. */
export function sealedPem(privateKey: KeyObject, passphrase: string): string {
  const salt = randomBytes(saltBytes);
  const iv = randomBytes(ivBytes);
  const key = scryptSync(passphrase, salt, keyBytes, { N: cost, r: blockSize, p: parallelization });
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const plain = privateKey.export({ format: 'der', type: 'pkcs8' });
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  const derivation = der(
    tags.sequence,
    scrypt,
    der(tags.sequence, der(tags.octets, salt), integer(cost), integer(blockSize), integer(parallelization)),
  );
  const encryption = der(tags.sequence, aes256Cbc, der(tags.octets, iv));
  const algorithm = der(tags.sequence, pbes2, der(tags.sequence, derivation, encryption));
  const base64 = der(tags.sequence, algorithm, der(tags.octets, sealed)).toString('base64');
  const lines = base64.match(new RegExp(`.{1,${lineChars}}`, 'g')) ?? [];
  return ['-----BEGIN ENCRYPTED PRIVATE KEY-----', ...lines, '-----END ENCRYPTED PRIVATE KEY-----', ''].join('\n');
}

export function isSealedPem(pem: string): boolean {
  return pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----');
}
