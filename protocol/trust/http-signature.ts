import { createHash, type KeyObject } from 'node:crypto';
import { keyIdOf } from '../ids.ts';
import { type PublicKey, publicKeyOf, signBytes, verifyBytes } from './ed25519.ts';

/**
 * HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530), in two fixed profiles: Ed25519, one signature
 * labelled `hf`, the components below in that order, no `created` (appliances have no clock; replay is stopped by the
 * counter in the body). The profile that was released first does not cover authority and query, and has no tag.
 * Anything outside both is refused.
 */
const label = 'hf';

interface Profile {
  readonly request: string;
  readonly answer: string;
  /** What follows the key id in the parameters. */
  readonly end: string;
}

const firstProfile: Profile = {
  request: '("@method" "@path" "content-digest")',
  answer: '("@status" "content-digest" "@method";req "@path";req "signature";req)',
  end: ';alg="ed25519"',
};
const targetProfile: Profile = {
  request: '("@method" "@authority" "@path" "@query" "content-digest")',
  answer: '("@status" "content-digest" "@method";req "@authority";req "@path";req "@query";req "signature";req)',
  end: ';alg="ed25519";tag="holdfast-2"',
};

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
  /** Signed in the profile `holdfast-2`; undefined: in the first profile, which does not cover it. */
  readonly target?: RequestTarget | undefined;
}

export interface RequestTarget {
  /** Host and port in one form (RFC 9421 section 2.2.3; `authority.ts`). */
  readonly authority: string;
  /** With its `?`, even if the query is empty (section 2.2.7). */
  readonly query: string;
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

/** RFC 9421 section 2.5: one line per component, then the parameters. */
export function signatureBase(lines: Lines, params: string): Buffer {
  return Buffer.from(
    [...lines.map(([name, value]) => `${name}: ${value}`), `"@signature-params": ${params}`].join('\n'),
  );
}

type Lines = readonly (readonly [component: string, value: string])[];

function profileOf({ target }: Pick<RequestParts, 'target'>): Profile {
  return target === undefined ? firstProfile : targetProfile;
}

/** The components that name the request, in its own signature and, each with `;req`, in that of its answer. */
function targetLines({ method, path, target }: Omit<RequestParts, 'body'>, end = ''): Lines {
  const [methodLine, pathLine] = [[`"@method"${end}`, method.toUpperCase()] as const, [`"@path"${end}`, path] as const];
  if (target === undefined) return [methodLine, pathLine];
  return [methodLine, [`"@authority"${end}`, target.authority], pathLine, [`"@query"${end}`, target.query]];
}

function requestLines(request: RequestParts, digest: string): Lines {
  return [...targetLines(request), ['"content-digest"', digest]];
}

function answerLines(
  status: number,
  digest: string,
  request: Omit<RequestParts, 'body'>,
  requestSignature: string,
): Lines {
  return [
    ['"@status"', String(status)],
    ['"content-digest"', digest],
    ...targetLines(request, ';req'),
    ['"signature";req', requestSignature],
  ];
}

function keyIdOfPublic(key: PublicKey): string {
  return keyIdOf(Buffer.from(key, 'hex'));
}

function headersFor(lines: Lines, components: string, end: string, digest: string, key: KeyObject): SignedHeaders {
  const params = `${components};keyid="${keyIdOfPublic(publicKeyOf(key))}"${end}`;
  const signature = signBytes(signatureBase(lines, params), key).toString('base64');
  return { 'content-digest': digest, 'signature-input': `${label}=${params}`, signature: `${label}=:${signature}:` };
}

export function signRequest(request: RequestParts, key: KeyObject): SignedHeaders {
  const digest = contentDigest(request.body);
  const { request: components, end } = profileOf(request);
  return headersFor(requestLines(request, digest), components, end, digest, key);
}

/**
 * Signs in the profile of its request.
 * @param requestSignature the `signature` header of the request, which binds the answer to it
 */
export function signAnswer(
  answer: { readonly status: number; readonly body: Uint8Array },
  request: Omit<RequestParts, 'body'>,
  requestSignature: string,
  key: KeyObject,
): SignedHeaders {
  const digest = contentDigest(answer.body);
  const { answer: components, end } = profileOf(request);
  return headersFor(answerLines(answer.status, digest, request, requestSignature), components, end, digest, key);
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

function parseHeaders(headers: SignatureHeaders, components: string, end: string, body: Uint8Array): ParsedSignature {
  const input = single(headers, 'signature-input');
  const signature = /^hf=:([A-Za-z0-9+/]{86}==):$/.exec(single(headers, 'signature'));
  const params = input.startsWith(`${label}=${components};`) ? input.slice(label.length + 1) : null;
  const rest = params?.slice(components.length) ?? '';
  const keyId = rest.endsWith(end) ? /^;keyid="([0-9a-f]{64})"$/.exec(rest.slice(0, -end.length)) : null;
  if (params === null || keyId?.[1] === undefined || signature?.[1] === undefined) {
    throw new SignatureError('signature-malformed', 'the signature is outside the profile of this protocol');
  }
  const digest = single(headers, 'content-digest');
  if (digest !== contentDigest(body))
    throw new SignatureError('digest-mismatch', 'the body is not the one that was signed');
  return { keyId: keyId[1], params, signature: Buffer.from(signature[1], 'base64'), digest };
}

function check(parsed: ParsedSignature, lines: Lines, key: PublicKey | undefined): void {
  if (key === undefined || keyIdOfPublic(key) !== parsed.keyId) {
    throw new SignatureError('key-unknown', `key ${parsed.keyId.slice(0, 12)}… is not known here`);
  }
  if (!verifyBytes(signatureBase(lines, parsed.params), parsed.signature, key)) {
    throw new SignatureError('signature-wrong', 'the signature does not fit the message');
  }
}

/** The key id that a request claims, before anything is verified; for looking up the key. */
export function claimedKeyId(headers: SignatureHeaders): string | null {
  const input = headers['signature-input'];
  return typeof input === 'string' ? (/;keyid="([0-9a-f]{64})"/.exec(input)?.[1] ?? null) : null;
}

/** Does a request or an answer claim to be signed with its target? Before anything is verified. */
export function claimsTarget(headers: SignatureHeaders): boolean {
  const input = headers['signature-input'];
  return typeof input === 'string' && input.endsWith(targetProfile.end);
}

/**
 * Verifies in the profile of the parts: with a target, or without.
 * @param key the public key registered for {@link claimedKeyId}, or undefined when there is none
 * @throws SignatureError
 */
export function verifyRequest(request: RequestParts, headers: SignatureHeaders, key: PublicKey | undefined): void {
  const { request: components, end } = profileOf(request);
  const parsed = parseHeaders(headers, components, end, request.body);
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
  const { answer: components, end } = profileOf(request);
  const parsed = parseHeaders(headers, components, end, answer.body);
  const key = keys.find((candidate) => keyIdOfPublic(candidate) === parsed.keyId);
  check(parsed, answerLines(answer.status, parsed.digest, request, requestSignature), key);
}
