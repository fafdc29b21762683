import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate, rootCertificates } from 'node:tls';
import got from 'got';
import type { HttpHead, HttpLimits, HttpRequest, HttpStream, Way } from './http.ts';
import { HttpError, type HttpErrorCode } from './http-error.ts';

type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'redirect'; readonly location: string };

/** One exchange over the way out: an answer, or where it sends us. */
export async function exchange<T>(
  request: HttpRequest,
  limits: HttpLimits,
  way: Way,
  deadline: AbortSignal,
  consume: (answer: HttpStream) => Promise<T>,
): Promise<Outcome<T>> {
  const stall = stallWatch(limits);
  const explain = (cause: unknown, otherwise: HttpErrorCode): HttpError => {
    if (cause instanceof HttpError) return cause;
    const detail = cause instanceof Error ? `: ${cause.message}` : '';
    if (stall.signal.aborted)
      return new HttpError(
        'stalled',
        `${request.url} sent nothing for ${limits.stallMs} ms, or next to nothing for longer`,
        { cause },
      );
    if (deadline.aborted)
      return new HttpError('timed-out', `${request.url} was not done in ${request.totalMs} ms`, { cause });
    return new HttpError(otherwise, `${request.url}${detail}`, { cause });
  };
  const { connectMs } = limits;
  // Of this exchange only: a connection that is kept, by us or by whoever answers, would keep the updater from ending.
  const agent = agentsOf(way);
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
  // An error after the consumer has left is nobody's any more; without a listener it would end the process.
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
      throw new HttpError('encoded', `${request.url} answers with content-encoding ${String(encoding).slice(0, 40)}`);
    }
    const body = bodyOf(stream, head, stall, way.rateBytesPerS, (cause) => explain(cause, 'truncated'));
    return { kind: 'done', value: await consume({ ...head, body }) };
  } finally {
    stall.stop();
    stream.destroy();
    agent.http.destroy();
    agent.https.destroy();
  }
}

function agentsOf({ proxy, ca }: Way): { http: HttpAgent; https: HttpsAgent } {
  const proxyEnv = proxy === null ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
  const own = ca.pem.length === 0 ? {} : { ca: [...rootCertificates, ...ca.pem] };
  const pinned =
    ca.pins.length === 0
      ? {}
      : {
          checkServerIdentity: (host: string, certificate: PeerCertificate) =>
            checkServerIdentity(host, certificate) ?? pinError(host, certificate, ca.pins),
        };
  return { http: new HttpAgent(proxyEnv), https: new HttpsAgent({ ...proxyEnv, ...own, ...pinned }) };
}

/** Beside what TLS has proven: one key of the chain must be a pinned one. */
function pinError(host: string, certificate: PeerCertificate, pins: readonly string[]): Error | undefined {
  const seen = new Set<string>();
  let link: PeerCertificate | DetailedPeerCertificate | undefined = certificate;
  while (link !== undefined && !seen.has(link.fingerprint256)) {
    seen.add(link.fingerprint256);
    const key = new X509Certificate(link.raw).publicKey.export({ type: 'spki', format: 'der' });
    if (pins.includes(createHash('sha256').update(key).digest('hex'))) return undefined;
    link = 'issuerCertificate' in link ? link.issuerCertificate : undefined;
  }
  return new Error(`no certificate of ${host} has a pinned key`);
}

interface StallWatch {
  readonly signal: AbortSignal;
  /** Bytes that arrived: too few of them in the window is as good as none. */
  arrived(bytes: number): void;
  /** Runs while we wait for the other side, not while our own disk is slow. */
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
    if (!Buffer.isBuffer(part.value)) throw explain(new TypeError('the body is not bytes'));
    received += part.value.length;
    stall.arrived(part.value.length);
    yield part.value;
    // What is not read yet waits at the other side: that is the whole of the limit.
    const earlyMs = rateBytesPerS === null ? 0 : (received / rateBytesPerS) * 1000 - (performance.now() - startedMs);
    if (earlyMs > 0) await delay(earlyMs);
  }
  if (announced !== undefined && received !== Number(announced)) {
    throw explain(new RangeError(`${received} of ${String(announced)} bytes arrived`));
  }
}
