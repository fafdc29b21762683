import type { KeyObject } from 'node:crypto';
import { addressBelow } from './address.ts';
import { type Asking, authorityUnknownCode, targetOf } from './authority.ts';
import { checkInPath, counterConflictShape, problemShape } from './check-in.ts';
import { sha256 } from './digest.ts';
import { keyUnknownIn } from './key-unknown.ts';
import type { PublicKey } from './trust/ed25519.ts';
import { type RequestParts, type SignatureHeaders, signRequest, verifyAnswer } from './trust/http-signature.ts';

/**
 * One exchange of a check-in, the same for agent and updater: the signed request, and the content of its verified
 * answer.
 */

/** What was asked, and with which signature: the server signs its answer for exactly this. */
export interface Asked extends Omit<RequestParts, 'body'> {
  readonly signature: string;
}

export interface SignedCheckIn {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly asked: Asked;
}

/** @param server the server's address */
export function signCheckIn(server: string, body: Buffer, asking: Asking, key: KeyObject): SignedCheckIn {
  const parts = { method: 'POST', path: checkInPath, target: targetOf(asking) } as const;
  const signed = signRequest({ ...parts, body }, key);
  return {
    url: addressBelow(server, checkInPath),
    headers: { 'content-type': 'application/json', ...signed },
    body,
    asked: { ...parts, signature: signed.signature },
  };
}

/** The answer as it came, from the server or from another machine. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: SignatureHeaders;
  readonly body: Buffer;
}

/** What the server itself says about a request. */
export type Said =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'answer'; readonly json: unknown }
  | { readonly kind: 'retired' }
  | { readonly kind: 'counter-too-low'; readonly next: number }
  /** The server does not go by the authority that the request was for. */
  | { readonly kind: 'authority-unknown' }
  /** `other`: it is about another key, and so does not answer this request. */
  | { readonly kind: 'key-unknown'; readonly whose: 'own' | 'other' }
  | { readonly kind: 'problem'; readonly code: string; readonly message: string }
  | { readonly kind: 'not-json' }
  | { readonly kind: 'no-known-shape' };

export interface VerifiedAnswer {
  readonly said: Said;
  /** What the next request names as the last answer taken. */
  readonly mark: string;
}

/** @throws SignatureError when this is not the server's answer to this request */
export function verifiedAnswer(
  answer: RawAnswer,
  asked: Asked,
  key: KeyObject,
  answerKeys: readonly PublicKey[],
): VerifiedAnswer {
  const { signature, ...request } = asked;
  verifyAnswer(answer, answer.headers, request, signature, answerKeys);
  return { said: saidIn(answer, key), mark: sha256(String(answer.headers.signature)) };
}

function saidIn({ status, body }: RawAnswer, key: KeyObject): Said {
  if (status === 204) return { kind: 'unchanged' };
  if (status === 410) return { kind: 'retired' };
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return { kind: 'not-json' };
    throw error;
  }
  if (status === 200) return { kind: 'answer', json };
  const conflict = status === 409 ? counterConflictShape.safeParse(json).data : undefined;
  if (conflict !== undefined) return { kind: 'counter-too-low', next: conflict.next };
  const whose = keyUnknownIn(json, key);
  if (whose !== null) return { kind: 'key-unknown', whose };
  const problem = problemShape.safeParse(json).data;
  if (problem === undefined) return { kind: 'no-known-shape' };
  if (problem.code === authorityUnknownCode) return { kind: 'authority-unknown' };
  return { kind: 'problem', code: problem.code, message: problem.message };
}
