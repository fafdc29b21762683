import { createHash, type KeyObject } from 'node:crypto';
import { keyIdOf } from '../ids.ts';
import { type PublicKey, publicKeyOf, signBytes, verifyBytes } from './ed25519.ts';

/**
 * HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530), in one fixed profile: Ed25519, one signature
 * labelled `hf`, the components below in that order, no `created` (appliances have no clock; replay is stopped by the
 * counter in the body). What is outside the profile is refused.
 */
const label = 'hf';
const requestComponents = '("@method" "@path" "content-digest")';
const answerComponents = '("@status" "content-digest" "@method";req "@path";req "signature";req)';

export type SignedHeaders = {
  readonly 'content-digest': string;
  readonly 'signature-input': string;
  readonly signature: string;
};
export type SignatureHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface RequestParts {
  readonly method: string;
  /** The absolute path of the request target, without query. */
  readonly path: string;
  readonly body: Uint8Array;
}

export type SignatureErrorCode =
  | 'signature-missing'
  | 'signature-malformed'
  | 'digest-mismatch'
  | 'signature-wrong'
  | 'key-unknown';

export class SignatureError extends Error {
  readonly code: SignatureErrorCode;
  constructor(code: SignatureErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** RFC 9530 section 2. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}

/** RFC 9421 section 2.5: one line a component, then the parameters. */
export function signatureBase(lines: readonly (readonly [component: string, value: string])[], params: string): Buffer {
  return Buffer.from(
    [...lines.map(([name, value]) => `${name}: ${value}`), `"@signature-params": ${params}`].join('\n'),
  );
}

function requestLines(request: RequestParts, digest: string) {
  return [
    ['"@method"', request.method.toUpperCase()],
    ['"@path"', request.path],
    ['"content-digest"', digest],
  ] as const;
}

function answerLines(status: number, digest: string, request: Omit<RequestParts, 'body'>, requestSignature: string) {
  return [
    ['"@status"', String(status)],
    ['"content-digest"', digest],
    ['"@method";req', request.method.toUpperCase()],
    ['"@path";req', request.path],
    ['"signature";req', requestSignature],
  ] as const;
}

function keyIdOfPublic(key: PublicKey): string {
  return keyIdOf(Buffer.from(key, 'hex'));
}

function headersFor(
  lines: readonly (readonly [string, string])[],
  components: string,
  digest: string,
  key: KeyObject,
): SignedHeaders {
  const params = `${components};keyid="${keyIdOfPublic(publicKeyOf(key))}";alg="ed25519"`;
  const signature = signBytes(signatureBase(lines, params), key).toString('base64');
  return { 'content-digest': digest, 'signature-input': `${label}=${params}`, signature: `${label}=:${signature}:` };
}

export function signRequest(request: RequestParts, key: KeyObject): SignedHeaders {
  const digest = contentDigest(request.body);
  return headersFor(requestLines(request, digest), requestComponents, digest, key);
}

/** @param requestSignature the `signature` header of the request, which binds the answer to it */
export function signAnswer(
  answer: { readonly status: number; readonly body: Uint8Array },
  request: Omit<RequestParts, 'body'>,
  requestSignature: string,
  key: KeyObject,
): SignedHeaders {
  const digest = contentDigest(answer.body);
  return headersFor(answerLines(answer.status, digest, request, requestSignature), answerComponents, digest, key);
}

interface ParsedSignature {
  readonly keyId: string;
  readonly params: string;
  readonly signature: Buffer;
  readonly digest: string;
}

function single(headers: SignatureHeaders, name: string): string {
  const value = headers[name];
  if (value === undefined) throw new SignatureError('signature-missing', `the message has no ${name} header`);
  if (typeof value !== 'string')
    throw new SignatureError('signature-malformed', `the message repeats its ${name} header`);
  return value;
}

function parseHeaders(headers: SignatureHeaders, components: string, body: Uint8Array): ParsedSignature {
  const input = single(headers, 'signature-input');
  const signature = /^hf=:([A-Za-z0-9+/]{86}==):$/.exec(single(headers, 'signature'));
  const params = input.startsWith(`${label}=${components};`) ? input.slice(label.length + 1) : null;
  const keyId =
    params === null ? null : /^;keyid="([0-9a-f]{64})";alg="ed25519"$/.exec(params.slice(components.length));
  if (params === null || keyId?.[1] === undefined || signature?.[1] === undefined) {
    throw new SignatureError('signature-malformed', 'the signature is outside the profile of this protocol');
  }
  const digest = single(headers, 'content-digest');
  if (digest !== contentDigest(body))
    throw new SignatureError('digest-mismatch', 'the body is not the one that was signed');
  return { keyId: keyId[1], params, signature: Buffer.from(signature[1], 'base64'), digest };
}

function check(
  parsed: ParsedSignature,
  lines: readonly (readonly [string, string])[],
  key: PublicKey | undefined,
): void {
  if (key === undefined || keyIdOfPublic(key) !== parsed.keyId) {
    throw new SignatureError('key-unknown', `key ${parsed.keyId.slice(0, 12)}… is not known here`);
  }
  if (!verifyBytes(signatureBase(lines, parsed.params), parsed.signature, key)) {
    throw new SignatureError('signature-wrong', 'the signature does not fit the message');
  }
}

/** The key id that a request claims, before anything is verified; for looking the key up. */
export function claimedKeyId(headers: SignatureHeaders): string | null {
  const input = headers['signature-input'];
  return typeof input === 'string' ? (/;keyid="([0-9a-f]{64})"/.exec(input)?.[1] ?? null) : null;
}

/**
 * @param key the public key registered for {@link claimedKeyId}, or undefined when there is none
 * @throws SignatureError
 */
export function verifyRequest(request: RequestParts, headers: SignatureHeaders, key: PublicKey | undefined): void {
  const parsed = parseHeaders(headers, requestComponents, request.body);
  check(parsed, requestLines(request, parsed.digest), key);
}

/**
 * @param requestSignature the `signature` header that the request was sent with
 * @throws SignatureError when the answer is not this server's answer to this request
 */
export function verifyAnswer(
  answer: { readonly status: number; readonly body: Uint8Array },
  headers: SignatureHeaders,
  request: Omit<RequestParts, 'body'>,
  requestSignature: string,
  keys: readonly PublicKey[],
): void {
  const parsed = parseHeaders(headers, answerComponents, answer.body);
  const key = keys.find((candidate) => keyIdOfPublic(candidate) === parsed.keyId);
  check(parsed, answerLines(answer.status, parsed.digest, request, requestSignature), key);
}
