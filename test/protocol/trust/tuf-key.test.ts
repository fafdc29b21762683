import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { Key } from '@tufjs/models';
import { describe, expect, it } from 'vitest';
import { readKey } from '../../../protocol/trust/tuf-key.ts';

const pem = ({ publicKey }: { publicKey: KeyObject }) => publicKey.export({ type: 'spki', format: 'pem' }).toString();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const ed25519 = generateKeyPairSync('ed25519');
const read = (keyType: string, scheme: string, text?: string) =>
  readKey(new Key({ keyID: 'id', keyType, scheme, keyVal: text === undefined ? {} : { public: text } }));

describe('a key of metadata', () => {
  it.each([
    ['of a type that nobody knows', 'sphincs', 'sphincs', pem(rsa)],
    ['without a value', 'rsa', 'rsassa-pss-sha256', undefined],
    ['of another curve than its scheme', 'ecdsa', 'ecdsa-sha2-nistp256', pem(p384)],
    ['of another type than its scheme', 'rsa', 'ecdsa-sha2-nistp256', pem(p256)],
    ['whose type names another curve', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp256', pem(p256)],
    ['that says RSA and is not', 'rsa', 'rsassa-pss-sha256', pem(p256)],
    ['that says RSA and is Ed25519', 'rsa', 'rsassa-pss-sha256', pem(ed25519)],
    ['of RSA with the padding that is not PSS', 'rsa', 'rsassa-pkcs1v15-sha256', pem(rsa)],
    ['that is a private one', 'rsa', 'rsassa-pss-sha256', `${rsa.privateKey.export({ type: 'pkcs8', format: 'pem' })}`],
    ['that is no PEM', 'rsa', 'rsassa-pss-sha256', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['that is no point of its curve', 'ecdsa', 'ecdsa-sha2-nistp256', `04${'ff'.repeat(64)}`],
    ['of Ed25519 that is too short', 'ed25519', 'ed25519', 'ab'],
    ['of Ed25519 in PEM, which the specification does not have', 'ed25519', 'ed25519', pem(ed25519)],
  ])('%s does not count', (_what, keyType, scheme, text) => {
    expect(read(keyType, scheme, text)).toBeNull();
  });

  it.each([
    ['rsa', 'rsassa-pss-sha512', pem(rsa)],
    ['rsa', 'rsassa-pss-sha512', pem(generateKeyPairSync('rsa', { modulusLength: 512 }))],
    ['ecdsa', 'ecdsa-sha2-nistp256', pem(p256)],
    ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384', pem(p384)],
    ['ed25519', 'ed25519', 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'],
  ])('of %s with %s takes nothing for its signature that is none', (keyType, scheme, text) => {
    const key = read(keyType, scheme, text);
    const lies = [Buffer.alloc(0), Buffer.from('30', 'hex'), Buffer.alloc(64, 1), Buffer.alloc(256, 255)];
    for (const lie of lies) expect(key?.isSignatureOf(Buffer.from('text'), lie)).toBe(false);
  });

  it('is the same for each of its schemes, and verifies by the one that it names', () => {
    const [small, large] = ['rsassa-pss-sha256', 'rsassa-pss-sha384'].map((scheme) => read('rsa', scheme, pem(rsa)));
    expect(small?.value).toBe(large?.value);
    const signature = sign('sha384', Buffer.from('text'), { key: rsa.privateKey, padding: 6, saltLength: 48 });
    expect(large?.isSignatureOf(Buffer.from('text'), signature)).toBe(true);
    expect(small?.isSignatureOf(Buffer.from('text'), signature)).toBe(false);
  });
});
