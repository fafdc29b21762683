import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { authorityShape, featuresShape } from './authority.ts';
import { digestShape } from './digest.ts';
import { applianceIdShape } from './ids.ts';
import { privateKeyFromSeed, publicKeyShape } from './trust/ed25519.ts';
import { envelopeShape } from './trust/envelope.ts';

/** What a claim code carries: where the server is, which keys to trust there, and the right to enrol once. */
export const claimShape = z.object({
  v: z.literal(1),
  url: z.url({ protocol: /^https?$/ }).max(300),
  /** Digest of the server's answer key (key id). */
  key: digestShape,
  /** Digest of the bytes of the first TUF root that this appliance trusts. */
  root: digestShape,
  secret: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/),
  /**
   * How the appliance proves that it has the secret. `ed25519`: the secret is the seed of a key that signs the
   * enrolment, and stays here; the server knows the public half. Absent: the server knows only the secret itself.
   */
  proof: z.literal('ed25519').optional(),
  /** The features that the server of this claim understands. */
  features: featuresShape.optional(),
});
export type Claim = z.infer<typeof claimShape>;

/** @returns the key that signs the enrolment; null: this secret is not a seed and is sent as it is */
export function claimKeyOf(secret: string): KeyObject | null {
  return privateKeyFromSeed(Buffer.from(secret, 'base64url'));
}

const prefix = 'hfc1.';

export function encodeClaim(claim: Claim): string {
  return prefix + Buffer.from(JSON.stringify(claim)).toString('base64url');
}

export class ClaimError extends Error {
  readonly code = 'claim-code-invalid';
}

/** @throws ClaimError when the text is not a claim code */
export function decodeClaim(text: string): Claim {
  const trimmed = text.trim();
  if (!trimmed.startsWith(prefix))
    throw new ClaimError('a claim code starts with hfc1. — copy it whole from the server');
  try {
    return claimShape.parse(JSON.parse(Buffer.from(trimmed.slice(prefix.length), 'base64url').toString('utf8')));
  } catch (cause) {
    throw new ClaimError('the claim code is damaged — copy it whole from the server', { cause });
  }
}

export const enrolPath = '/v1/enrol';
export const vouchPayloadType = 'application/vnd.holdfast.vouch+json';

/**
 * POST /v1/enrol, signed (HTTP message signature) with the updater's key. Repeating it with the same key is harmless.
 */
export const enrolRequestShape = z.object({
  proto: z.int().min(1),
  /** The authority that the server is asked under, as in a check-in. */
  authority: authorityShape.optional(),
  /** The claim's secret itself: sent by updaters, and for claims, that know no proof. */
  secret: z.string().max(64).optional(),
  /** The public half of the claim's key. */
  claimKey: publicKeyShape.optional(),
  /** DSSE envelope by the claim's key around {@link enrolProofShape}. */
  claimProof: envelopeShape.optional(),
  /** DSSE envelope by the agent's key around {@link enrolProofShape}: it proves that the vouched key is at hand. */
  agentProof: envelopeShape.optional(),
  updaterKey: publicKeyShape,
  /** DSSE envelope by the updater's key around {@link vouchShape}. */
  vouch: envelopeShape,
  hardware: z.string().max(100).optional(),
  /** DSSE envelope around {@link copyShape} by the key of the appliance that this one was a copy of. */
  copyOf: envelopeShape.optional(),
});
export type EnrolRequest = z.infer<typeof enrolRequestShape>;

export const claimProofPayloadType = 'application/vnd.holdfast.claim-proof+json';
export const agentProofPayloadType = 'application/vnd.holdfast.agent-proof+json';

/**
 * The keys for which a claim is redeemed: an attacker who reads it on the way cannot use it with another updater's key.
 */
export const enrolProofShape = z.object({
  v: z.literal(1),
  appliance: applianceIdShape,
  updaterKey: publicKeyShape,
  agentKey: publicKeyShape,
});

/** The updater vouches that a key belongs to this appliance's agent. */
export const vouchShape = z.object({ v: z.literal(1), appliance: applianceIdShape, agentKey: publicKeyShape });

export const copyPayloadType = 'application/vnd.holdfast.copy+json';
/** A copied data partition that gets its own identity names the identity that it was copied from. */
export const copyShape = z.object({ v: z.literal(1), appliance: applianceIdShape, copy: applianceIdShape });

/** 200, signed by the server's answer key. */
export const enrolAnswerShape = z.object({
  appliance: applianceIdShape,
  name: z.string().max(60),
  site: z.string().max(60),
  /**
   * Raw Ed25519 public keys that sign answers; the one that the claim pinned is among them, unless it was replaced
   * since.
   */
  answerKeys: z.array(publicKeyShape).min(1).max(4),
  /** The bytes of the TUF root that the claim pinned, base64. */
  root: z.base64().max(100_000),
  issuedAt: z.int().min(0),
});
export type EnrolAnswer = z.infer<typeof enrolAnswerShape>;

/** agent/keys/credentials.json: written by setup, read by the agent; the one source of its credentials (S39). */
export const agentCredentialsShape = z.object({
  appliance: applianceIdShape,
  url: z.url().max(300),
  answerKeys: z.array(publicKeyShape).min(1).max(4),
  /** PKCS#8 PEM of the agent's Ed25519 key. */
  privateKey: z.string().max(1_000),
});
export type AgentCredentials = z.infer<typeof agentCredentialsShape>;
