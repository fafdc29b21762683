import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';
import { clockWords } from '../../protocol/certificate.ts';
import { type PathEntry, proxyFor } from '../../protocol/network-path.ts';
import { pinProblem } from '../../protocol/pinned-keys.ts';
import { systemCode } from '../errors.ts';
import { checkInTexts } from '../texts.ts';
import { systemClock } from './clock.ts';
import type { Http } from './effects.ts';

/** A larger answer is refused: a check-in's answer holds 8 orders of at most 8 KiB. */
const answerBytesMax = 256 * 1024;
const connectMs = 10_000;

export class HttpError extends Error {
  readonly code: 'unreachable' | 'answer-too-large';
  constructor(code: HttpError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * One round trip with got: no retry, redirect, cookie or decompression, because the signature covers the bytes as sent.
 */
export const gotHttp: Http = {
  async send({ method, url, headers, body, over, signal }) {
    const { default: got, RequestError } = await import('got'); // takes 100 ms to load: not before the first health answer
    // For this round trip only: the next one may take another entry.
    const agent = agentsOf(over.entry, url);
    const request = got.stream(url, {
      method,
      headers: { 'user-agent': 'holdfast-agent', ...headers },
      ...(body === undefined ? {} : { body }),
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
      timeout: { connect: connectMs, request: over.totalMs },
      agent,
      signal,
    });
    try {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of request) {
        const bytes = Buffer.from(chunk);
        size += bytes.length;
        if (size > answerBytesMax) {
          throw new HttpError('answer-too-large', checkInTexts.answerTooLong(method, url, answerBytesMax));
        }
        chunks.push(bytes);
      }
      if (request.response === undefined) throw new HttpError('unreachable', checkInTexts.noAnswer(method, url));
      return {
        status: request.response.statusCode,
        headers: request.response.headers,
        body: Buffer.concat(chunks),
      };
    } catch (cause) {
      if (cause instanceof RequestError || systemCode(cause) === 'ERR_STREAM_PREMATURE_CLOSE') {
        const detail = cause instanceof Error ? cause.message : String(cause);
        const clock = clockWords(`${systemCode(cause) ?? ''} ${detail}`, systemClock.wallS() * 1000);
        throw new HttpError('unreachable', `${method} ${url}: ${detail}${clock}`, { cause });
      }
      throw cause;
    } finally {
      request.destroy();
      agent.http.destroy();
      agent.https.destroy();
    }
  },
};

function agentsOf(entry: PathEntry, url: string): { http: HttpAgent; https: HttpsAgent } {
  const proxy = proxyFor(entry, url);
  const { pins, pem } = entry.ca;
  const proxyEnv = proxy === null ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
  const own = pem.length === 0 ? {} : { ca: [...rootCertificates, ...pem] };
  const pinned =
    pins.length === 0
      ? {}
      : {
          checkServerIdentity: (host: string, certificate: PeerCertificate) =>
            checkServerIdentity(host, certificate) ?? pinProblem(host, certificate, pins),
        };
  return { http: new HttpAgent(proxyEnv), https: new HttpsAgent({ ...proxyEnv, ...own, ...pinned }) };
}
