import { once } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';
import got from 'got';
import { clockWords } from '../../protocol/certificate.ts';
import { proxyFor } from '../../protocol/network-path.ts';
import { pinProblem } from '../../protocol/pinned-keys.ts';
import { effectTexts } from '../words/texts.ts';
import { realClock } from './clock.ts';
import { HttpError, type HttpErrorCode } from './http-error.ts';
import type { HttpHead, HttpLimits, HttpRequest, HttpStream, RatedEntry } from './http-request.ts';

type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'redirect'; readonly location: string };

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** One exchange over one entry of the network path: an answer, or the address of a redirect. */
export async function exchange<T>(
  request: HttpRequest,
  limits: HttpLimits,
  entry: RatedEntry,
  deadline: AbortSignal,
  consume: (answer: HttpStream) => Promise<T>,
): Promise<Outcome<T>> {
  const stall = stallWatch(limits);
  const explain = (cause: unknown, otherwise: HttpErrorCode): HttpError => {
    if (cause instanceof HttpError) return cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    if (stall.signal.aborted)
      return new HttpError('stalled', effectTexts.stalled(request.url, limits.stallMs), { cause });
    if (deadline.aborted)
      return new HttpError('timed-out', effectTexts.timedOut(request.url, request.totalMs), { cause });
    const clock = clockWords(`${codeOf(cause)} ${detail}`, realClock.wallS() * 1000);
    return new HttpError(otherwise, `${request.url}: ${detail}${clock}`, { cause });
  };
  const { connectMs } = limits;
  // For this exchange only: a kept-alive connection, from either side, would keep the updater from ending.
  const agent = agentsOf(entry, request.url);
  const stream = got.stream(request.url, {
    method: request.method ?? 'GET',
    headers: { 'user-agent': 'holdfast-updater', 'accept-encoding': 'identity', ...request.headers },
    ...(request.body === undefined ? {} : { body: request.body }),
    timeout: { lookup: connectMs, connect: connectMs, secureConnect: connectMs },
    signal: AbortSignal.any([stall.signal, deadline]),
    agent,
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
  });
  // After the consumer has left, nobody handles an error; without a listener it would end the process.
  stream.on('error', () => undefined);
  try {
    const head = await firstAnswer(stream, stall).catch((cause: unknown) => {
      throw explain(cause, 'unreachable');
    });
    const { location } = head.headers;
    if (head.status >= 301 && head.status <= 308 && head.status !== 304) {
      return { kind: 'redirect', location: typeof location === 'string' ? location : '' };
    }
    const encoding = head.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw new HttpError('encoded', effectTexts.encoded(request.url, String(encoding).slice(0, 40)));
    }
    const body = bodyOf(stream, head, stall, entry.rateBytesPerS, (cause) => explain(cause, 'truncated'));
    return { kind: 'done', value: await consume({ ...head, body }) };
  } finally {
    stall.stop();
    stream.destroy();
    agent.http.destroy();
    agent.https.destroy();
  }
}

function agentsOf(entry: RatedEntry, url: string): { http: HttpAgent; https: HttpsAgent } {
  const proxy = proxyFor(entry, url);
  const { ca } = entry;
  const proxyEnv = proxy === null ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
  const own = ca.pem.length === 0 ? {} : { ca: [...rootCertificates, ...ca.pem] };
  const pinned =
    ca.pins.length === 0
      ? {}
      : {
          checkServerIdentity: (host: string, certificate: PeerCertificate) =>
            checkServerIdentity(host, certificate) ?? pinProblem(host, certificate, ca.pins),
        };
  return { http: new HttpAgent(proxyEnv), https: new HttpsAgent({ ...proxyEnv, ...own, ...pinned }) };
}

interface StallWatch {
  readonly signal: AbortSignal;
  /** Counts arrived bytes: too few of them in the window count as none. */
  arrived(bytes: number): void;
  /** The timer runs while we wait for the other side, not while our own disk is slow. */
  wait<T>(next: Promise<T>): Promise<T>;
  stop(): void;
}

function stallWatch({ stallMs, slowWindowMs, slowBytesMin }: HttpLimits): StallWatch {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let windowMs = performance.now();
  let windowBytes = 0;
  const stop = () => clearTimeout(timer);
  return {
    signal: controller.signal,
    stop,
    arrived: (bytes) => {
      windowBytes += bytes;
      const now = performance.now();
      if (now - windowMs < slowWindowMs) return;
      if (windowBytes < slowBytesMin) controller.abort();
      windowMs = now;
      windowBytes = 0;
    },
    wait: async (next) => {
      stop();
      timer = setTimeout(() => controller.abort(), stallMs);
      try {
        return await next;
      } finally {
        stop();
      }
    },
  };
}

async function firstAnswer(stream: NodeJS.ReadableStream & NodeJS.EventEmitter, stall: StallWatch): Promise<HttpHead> {
  const [response] = await stall.wait(once(stream, 'response'));
  return { status: response.statusCode, headers: response.headers };
}

async function* bodyOf(
  stream: AsyncIterable<unknown>,
  head: HttpHead,
  stall: StallWatch,
  rateBytesPerS: number | null,
  explain: (cause: unknown) => HttpError,
): AsyncGenerator<Buffer> {
  const announced = head.headers['content-length'];
  const startedMs = performance.now();
  let received = 0;
  const parts = stream[Symbol.asyncIterator]();
  for (;;) {
    const part = await stall.wait(parts.next()).catch((cause: unknown) => {
      throw explain(cause);
    });
    if (part.done === true) break;
    if (!Buffer.isBuffer(part.value)) throw explain(new TypeError(effectTexts.bodyNotBytes));
    received += part.value.length;
    stall.arrived(part.value.length);
    yield part.value;
    // What is not read yet waits at the other side: that is the whole rate limit.
    const earlyMs = rateBytesPerS === null ? 0 : (received / rateBytesPerS) * 1000 - (performance.now() - startedMs);
    if (earlyMs > 0) await delay(earlyMs);
  }
  if (announced !== undefined && received !== Number(announced)) {
    throw explain(new RangeError(effectTexts.truncated(received, String(announced))));
  }
}
