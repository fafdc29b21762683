import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { type RequestParts, SignatureError, signAnswer, verifyRequest } from '../../protocol/trust/http-signature.ts';
import type { Core } from '../core.ts';
import { Refusal } from '../refusal.ts';

/** An answer before it is signed; `body` undefined has no bytes at all (204). */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

/** The request as its signature covers it. */
function partsOf(request: FastifyRequest): RequestParts {
  return {
    method: request.method,
    path: request.url.split('?')[0] ?? request.url,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  };
}

/** @throws Refusal 401, which is never signed: nobody who is known asked */
export function requireSignature(request: FastifyRequest, key: PublicKey | undefined): void {
  try {
    verifyRequest(partsOf(request), request.headers, key);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    const code =
      error.code === 'key-unknown'
        ? 'key-unknown'
        : error.code === 'signature-missing'
          ? 'key-missing'
          : 'signature-wrong';
    throw new Refusal(code, `the request is not signed by a key that is known here: ${error.message}`, undefined, {
      cause: error,
    });
  }
}

/**
 * Answers a request whose signature was verified: whatever `work` returns or throws goes out signed and bound to the
 * request, so that nobody in between can say no in the server's name.
 */
export function answerSigned(
  core: Core,
  request: FastifyRequest,
  reply: FastifyReply,
  work: () => Answer,
): FastifyReply {
  const answer = answerOf(request, work);
  const body = answer.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(answer.body));
  const { signature } = request.headers;
  const headers = signAnswer(
    { status: answer.status, body },
    partsOf(request),
    typeof signature === 'string' ? signature : '',
    core.keys.answer.privateKey,
  );
  reply.code(answer.status).headers({ ...headers, 'cache-control': 'no-store' });
  if (answer.status === 204) return reply.send();
  return reply.header('content-type', 'application/json').send(body);
}

function answerOf(request: FastifyRequest, work: () => Answer): Answer {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) {
      request.log.info({ code: error.code }, error.message);
      return { status: error.status, body: error.problem() };
    }
    request.log.error(error, 'a signed request failed');
    const failure = new Refusal('server-error', 'the server could not handle the request', 'try again later');
    return { status: failure.status, body: failure.problem() };
  }
}
