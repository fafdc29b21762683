import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { orderPayloadType, orderShape } from '../../../protocol/order.ts';
import {
  generateKeyPair,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  verifyBytes,
} from '../../../protocol/trust/ed25519.ts';
import {
  envelopeShape,
  openEnvelope,
  preAuthenticationEncoding,
  sealEnvelope,
} from '../../../protocol/trust/envelope.ts';
import { readExample } from '../examples.ts';

const signer = generateKeyPair();
const stranger = generateKeyPair();
const type = 'application/vnd.holdfast.test+json';
const sealed = sealEnvelope(type, { a: 1 }, signer.privateKey);
const refusal = expect.objectContaining({ code: 'envelope-not-trusted' });

describe('the pre-authentication encoding', () => {
  it('is the one that DSSE publishes', () => {
    const bytes = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
    expect(bytes.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  it('counts bytes, not characters', () => {
    expect(preAuthenticationEncoding('ü', Buffer.from('→')).toString()).toBe('DSSEv1 2 ü 3 →');
  });
});

describe('an envelope', () => {
  it('gives back what a trusted key signed', () => {
    expect(openEnvelope(sealed, type, [stranger.publicKey, signer.publicKey])).toEqual({ a: 1 });
    expect(envelopeShape.parse(sealed)).toEqual(sealed);
  });

  it('stays readable for ever', () => {
    const frozen = z
      .object({ publicKey: z.string(), envelope: envelopeShape, order: z.unknown() })
      .parse(readExample('signed-order.update-iso'));
    const order = openEnvelope(frozen.envelope, orderPayloadType, [frozen.publicKey]);
    expect(order).toEqual(frozen.order);
    expect(orderShape.parse(order).kind).toBe('update_iso');
  });

  const payload = Buffer.from('{"a":2}').toString('base64');
  const [signature = { keyid: '', sig: '' }] = sealed.signatures;
  it.each([
    ['another payload', { ...sealed, payload }],
    ['another type', { ...sealed, payloadType: 'application/json' }],
    ['no signature that fits', { ...sealed, signatures: [{ ...signature, sig: Buffer.alloc(64).toString('base64') }] }],
    ['a signature of no length', { ...sealed, signatures: [{ ...signature, sig: '' }] }],
    [
      'a foreign key under the right name',
      {
        ...sealEnvelope(type, { a: 1 }, stranger.privateKey),
        signatures: [{ ...signature, sig: sealEnvelope(type, { a: 1 }, stranger.privateKey).signatures[0]?.sig ?? '' }],
      },
    ],
    ['a foreign key', sealEnvelope(type, { a: 1 }, stranger.privateKey)],
  ])('with %s is refused', (_, envelope) => {
    expect(() => openEnvelope(envelope, type, [signer.publicKey])).toThrow(refusal);
  });

  it('is refused where no key is trusted', () => {
    expect(() => openEnvelope(sealed, type, [])).toThrow(refusal);
  });

  it('signed for one purpose is not accepted for another', () => {
    const retyped = { ...sealed, payloadType: orderPayloadType };
    expect(() => openEnvelope(retyped, orderPayloadType, [signer.publicKey])).toThrow(refusal);
  });
});

describe('a key', () => {
  it('survives its PEM', () => {
    expect(publicKeyOf(privateKeyFromPem(privateKeyToPem(signer.privateKey)))).toBe(signer.publicKey);
  });

  it.each([Buffer.alloc(0), Buffer.alloc(63), Buffer.alloc(64), Buffer.alloc(65)])(
    'does not verify %o, and does not throw',
    (bytes) => {
      expect(verifyBytes(Buffer.from('x'), bytes, signer.publicKey)).toBe(false);
      expect(verifyBytes(Buffer.from('x'), bytes, 'not a key')).toBe(false);
    },
  );
});
