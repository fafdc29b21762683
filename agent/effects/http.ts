import { systemCode } from '../errors.ts';
import type { Http } from './effects.ts';

/** An answer beyond this is refused: a check-in's answer holds 8 orders of at most 8 KiB. */
const answerBytesMax = 256 * 1024;
/** For one round trip; a slow site gets half a minute, and the next try comes within a minute. */
const timeoutMs = { connect: 10_000, request: 30_000 } as const;

export class HttpError extends Error {
  readonly code: 'unreachable' | 'answer-too-large';
  constructor(code: HttpError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** One round trip by got: no retry, no redirect, no cookie, no decompression: what is signed are the bytes as sent. */
export const gotHttp: Http = {
  async send({ method, url, headers, body, signal }) {
    const { default: got, RequestError } = await import('got'); // 100 ms to load: not on the way to the first health answer
    const request = got.stream(url, {
      method,
      headers: { 'user-agent': 'holdfast-agent', ...headers },
      ...(body === undefined ? {} : { body }),
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
      timeout: timeoutMs,
      signal,
    });
    try {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of request) {
        const bytes = Buffer.from(chunk);
        size += bytes.length;
        if (size > answerBytesMax) {
          throw new HttpError('answer-too-large', `${method} ${url}: the answer is beyond ${answerBytesMax} bytes`);
        }
        chunks.push(bytes);
      }
      if (request.response === undefined) throw new HttpError('unreachable', `${method} ${url}: no answer`);
      return {
        status: request.response.statusCode,
        headers: request.response.headers,
        body: Buffer.concat(chunks),
      };
    } catch (cause) {
      if (cause instanceof RequestError || systemCode(cause) === 'ERR_STREAM_PREMATURE_CLOSE') {
        throw new HttpError('unreachable', `${method} ${url}: ${cause instanceof Error ? cause.message : cause}`, {
          cause,
        });
      }
      throw cause;
    } finally {
      request.destroy();
    }
  },
};
