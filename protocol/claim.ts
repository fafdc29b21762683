import { z } from 'zod';
import { digestShape } from './digest.ts';
import { applianceIdShape } from './ids.ts';
import { publicKeyShape } from './trust/ed25519.ts';
import { envelopeShape } from './trust/envelope.ts';

/** What a claim code carries: where the server is, whom to trust there, and the right to enrol once. */
export const claimShape = z.object({
  v: z.literal(1),
  url: z.url({ protocol: /^https?$/ }).max(300),
  /** Digest of the server's answer key (key id). */
  key: digestShape,
  /** Digest of the bytes of the first TUF root that this appliance trusts. */
  root: digestShape,
  secret: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/),
});
export type Claim = z.infer<typeof claimShape>;

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

/** POST /v1/enrol, signed (HTTP message signature) by the updater's key. Repeating it with the same key is harmless. */
export const enrolRequestShape = z.object({
  proto: z.int().min(1),
  secret: z.string().max(64),
  updaterKey: publicKeyShape,
  /** DSSE envelope by the updater's key around {@link vouchShape}. */
  vouch: envelopeShape,
  hardware: z.string().max(100).optional(),
});
export type EnrolRequest = z.infer<typeof enrolRequestShape>;

/** The updater's word that a key is this appliance's agent's. */
export const vouchShape = z.object({ v: z.literal(1), appliance: applianceIdShape, agentKey: publicKeyShape });

/** 200, signed by the server's answer key. */
export const enrolAnswerShape = z.object({
  appliance: applianceIdShape,
  name: z.string().max(60),
  site: z.string().max(60),
  /** Raw Ed25519 public keys that sign answers; among them the one that the claim pinned, unless it was replaced since. */
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
