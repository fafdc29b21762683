import type { FastifyReply, FastifyRequest } from 'fastify';
import { authorityOf } from '../../protocol/address.ts';
import { authorityShape } from '../../protocol/authority.ts';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import {
  claimsTarget,
  type RequestParts,
  SignatureError,
  signAnswer,
  verifyRequest,
} from '../../protocol/trust/http-signature.ts';
import type { Core } from '../core.ts';
import { diskFullRefusal, Refusal } from '../refusal.ts';
import { isBusy } from '../store/database.ts';
import { busyRefusal } from '../store/write-turn.ts';
import { checkInTexts } from '../texts.ts';

/** An answer before it is signed; `body` undefined has no bytes at all (204). */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** Seconds; sent in a header, which can only delay. */
  readonly retryAfterS?: number;
}

/**
 * The request in each form that its signature may cover: with the path of the protocol, below any prefix of the site.
 * Agents before this version sign the whole path of the address that they were given.
 */
function readings({ policy }: Core, request: FastifyRequest): readonly RequestParts[] {
  const { method, url } = request;
  const [path = url] = url.split('?');
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  if (claimsTarget(request.headers)) {
    const query = `?${url.slice(path.length + 1)}`;
    return [{ method, path, body, target: { authority: claimedAuthority(request, body), query } }];
  }
  return ['', ...policy.basePaths].map((above) => ({ method, path: `${above}${path}`, body }));
}

/**
 * The authority that the client used, as its body names it: a proxy may have changed the Host header. This function
 * checks neither whether the signature covers it nor whether it is this server's.
 */
function claimedAuthority({ headers }: FastifyRequest, body: Buffer): string {
  return authorityInBody(body) ?? authorityOf(headers.host ?? '', '');
}

function authorityInBody(body: Buffer): string | null {
  try {
    const found: unknown = JSON.parse(body.toString('utf8'));
    const said = typeof found === 'object' && found !== null && 'authority' in found ? found.authority : null;
    return authorityShape.safeParse(said).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A request as it was signed, after verification: the answer is bound to it. */
export type SignedRequest = Omit<RequestParts, 'body'>;

/**
 * Checks everything about the signature except whether it is right, which needs its key.
 * @throws Refusal 401
 */
export function requireWellFormed(core: Core, request: FastifyRequest): SignedRequest {
  try {
    return requireSignature(core, request, undefined);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'key-unknown') throw error;
    const { body, ...signed } = readings(core, request)[0] ?? { method: request.method, path: request.url };
    return signed;
  }
}

/** @throws Refusal 401, which is never signed: the sender is unknown */
export function requireSignature(core: Core, request: FastifyRequest, key: PublicKey | undefined): SignedRequest {
  let refusal: SignatureError | null = null;
  for (const parts of readings(core, request)) {
    try {
      verifyRequest(parts, request.headers, key);
      const { body, ...signed } = parts;
      return signed;
    } catch (error) {
      if (!(error instanceof SignatureError)) throw error;
      refusal ??= error;
    }
  }
  const code =
    refusal?.code === 'key-unknown'
      ? 'key-unknown'
      : refusal?.code === 'signature-missing'
        ? 'key-missing'
        : 'signature-wrong';
  throw new Refusal(code, checkInTexts.notSigned(refusal?.message ?? checkInTexts.noSignature), undefined, {
    cause: refusal,
  });
}

/**
 * Answers a request whose signature was verified. What `work` returns or throws goes out signed and bound to the
 * request, so that nobody in between can refuse in the server's name.
 * @param onSigned gets the `signature` of the answer before the answer goes out
 */
export function answerSigned(
  core: Core,
  request: FastifyRequest,
  signed: SignedRequest,
  reply: FastifyReply,
  work: () => Answer,
  onSigned: (signature: string) => void = () => undefined,
): FastifyReply {
  const answer = answerOf(core, request, work);
  const body = answer.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(answer.body));
  const { signature } = request.headers;
  const headers = signAnswer(
    { status: answer.status, body },
    signed,
    typeof signature === 'string' ? signature : '',
    core.keys.answer.privateKey,
  );
  onSigned(headers.signature);
  reply.code(answer.status).headers({ ...headers, 'cache-control': 'no-store' });
  if (answer.retryAfterS !== undefined) reply.header('retry-after', String(answer.retryAfterS));
  if (answer.status === 204) return reply.send();
  return reply.header('content-type', 'application/json').send(body);
}

function answerOf(core: Core, request: FastifyRequest, work: () => Answer): Answer {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) {
      request.log.info({ code: error.code }, error.message);
      return { status: error.status, body: error.problem() };
    }
    if (isBusy(error)) return { status: 503, body: busyRefusal(error).problem() };
    request.log.error(error, checkInTexts.requestFailed);
    const failure = core.disk.isFullError(error)
      ? diskFullRefusal(error)
      : new Refusal('server-error', checkInTexts.failed, checkInTexts.failedNext);
    return { status: failure.status, body: failure.problem() };
  }
}
