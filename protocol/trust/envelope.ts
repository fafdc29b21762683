import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { keyIdOf } from '../ids.ts';
import { type KeyPair, type PublicKey, publicKeyOf, signBytes, verifyBytes } from './ed25519.ts';

/** Characters of a payload in base64: three bytes take four of them. */
const payloadCharsMax = 8_000;
/** Bytes of what an envelope holds. */
export const payloadBytesMax = (payloadCharsMax / 4) * 3;

/** A DSSE envelope (Dead Simple Signing Envelope v1.0.2): the signature covers the exact bytes, never a re-encoding. */
export const envelopeShape = z.object({
  payloadType: z.string().max(100),
  payload: z.base64().max(payloadCharsMax),
  signatures: z
    .array(z.object({ keyid: z.string().max(64), sig: z.base64().max(100) }))
    .min(1)
    .max(4),
});
export type Envelope = z.infer<typeof envelopeShape>;

/** DSSE pre-authentication encoding: lengths come first, so that no two (type, payload) pairs share their bytes. */
export function preAuthenticationEncoding(payloadType: string, payload: Buffer): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

export function sealEnvelope(payloadType: string, body: unknown, privateKey: KeyObject): Envelope {
  return sealBytes(payloadType, Buffer.from(JSON.stringify(body)), privateKey);
}

/** Signs one of our own envelopes with the key in use now, because its reader may no longer trust the former key. */
export function sealedAnew(envelope: Envelope, { publicKey, privateKey }: KeyPair): Envelope {
  const keyid = keyIdOf(Buffer.from(publicKey, 'hex'));
  if (envelope.signatures.some((signature) => signature.keyid === keyid)) return envelope;
  return sealBytes(envelope.payloadType, Buffer.from(envelope.payload, 'base64'), privateKey);
}

function sealBytes(payloadType: string, payload: Buffer, privateKey: KeyObject): Envelope {
  const keyid = keyIdOf(Buffer.from(publicKeyOf(privateKey), 'hex'));
  const sig = signBytes(preAuthenticationEncoding(payloadType, payload), privateKey).toString('base64');
  return { payloadType, payload: payload.toString('base64'), signatures: [{ keyid, sig }] };
}

export class EnvelopeError extends Error {
  readonly code = 'envelope-not-trusted';
}

/**
 * The JSON that a trusted key signed under this payload type.
 * @throws EnvelopeError when no signature is by one of `keys`, or the payload is not JSON
 */
export function openEnvelope(envelope: Envelope, payloadType: string, keys: readonly PublicKey[]): unknown {
  if (envelope.payloadType !== payloadType) {
    throw new EnvelopeError(`expected ${payloadType}, found ${JSON.stringify(envelope.payloadType)}`);
  }
  const payload = Buffer.from(envelope.payload, 'base64');
  const signed = preAuthenticationEncoding(payloadType, payload);
  const trusted = envelope.signatures.some(({ keyid, sig }) =>
    keys.some(
      (key) => keyIdOf(Buffer.from(key, 'hex')) === keyid && verifyBytes(signed, Buffer.from(sig, 'base64'), key),
    ),
  );
  if (!trusted) throw new EnvelopeError(`no trusted key signed this ${payloadType}`);
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch (cause) {
    throw new EnvelopeError('the signed payload is not JSON', { cause });
  }
}
