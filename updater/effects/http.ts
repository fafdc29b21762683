import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate, rootCertificates } from 'node:tls';

/** How long each part of one exchange may take, in milliseconds. */
export const httpLimits = {
  /** Name lookup, connection and TLS, each: a site's network answers in seconds or not at all. */
  connectMs: 10_000,
  /** Without one byte from the other side, its first one included. */
  stallMs: 20_000,
  redirectsMax: 3,
  /** A body that brings less than these bytes in this time is given up: a line of 1 KiB/s is the slowest that is a line. */
  slowWindowMs: 60_000,
  slowBytesMin: 30 * 1024,
} as const;

/** The way out of the site. */
export interface Way {
  /** An HTTP proxy; null: none. */
  readonly proxy: string | null;
  readonly ca: {
    /** SHA-256 (hex) of public keys, of which one must be in the server's chain; none: any trusted chain. */
    readonly pins: readonly string[];
    /** Certificates of authorities beside the well-known ones. */
    readonly pem: readonly string[];
  };
  /** Bytes a second that a body is read with; null: as they come. */
  readonly rateBytesPerS: number | null;
}

const direct: Way = { proxy: null, ca: { pins: [], pem: [] }, rateBytesPerS: null };

export interface HttpRequest {
  readonly method?: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** For the whole exchange, redirects and body included: bounds a server that drips. */
  readonly totalMs: number;
  /** Ends the exchange early, as if its time were over. */
  readonly signal?: AbortSignal;
}

export interface HttpHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface HttpStream extends HttpHead {
  /** The body as it arrives; throws {@link HttpError}. */
  readonly body: AsyncIterable<Buffer>;
}

export interface HttpAnswer extends HttpHead {
  readonly body: Buffer;
}

/** All HTTP of the updater. An answer with any status is an answer; no answer is an {@link HttpError}. */
export interface Http {
  /** One exchange with the whole body in memory, at most `bytesMax` of it. */
  fetch(request: HttpRequest, bytesMax: number): Promise<HttpAnswer>;
  /** One exchange; the connection ends when `consume` does, whether it read all or not. */
  stream<T>(request: HttpRequest, consume: (answer: HttpStream) => Promise<T>): Promise<T>;
  /** What came last was proven to be from whom it should be. */
  readonly verified?: () => void;
}

export type HttpErrorCode =
  | 'unreachable'
  | 'stalled'
  | 'timed-out'
  | 'truncated'
  | 'too-large'
  | 'redirect-refused'
  | 'encoded';

export class HttpError extends Error {
  readonly code: HttpErrorCode;
  constructor(code: HttpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HttpError';
    this.code = code;
  }
}

type Limits = Readonly<Record<keyof typeof httpLimits, number>>;

/** @param way is asked for at each exchange: it may change while the updater runs */
export function makeHttp(changed: Partial<Limits> = {}, way: () => Way = () => direct): Http {
  const limits = { ...httpLimits, ...changed };
  const stream: Http['stream'] = async (request, consume) => {
    const timeout = AbortSignal.timeout(request.totalMs);
    const deadline = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    let url = new URL(request.url);
    for (let hops = 0; hops <= limits.redirectsMax; hops += 1) {
      const outcome = await exchange({ ...request, url: url.href }, limits, way(), deadline, consume);
      if (outcome.kind === 'done') return outcome.value;
      url = redirected(url, outcome.location, request);
    }
    throw new HttpError('redirect-refused', `${request.url} redirects more than ${limits.redirectsMax} times`);
  };
  return { stream, fetch: (request, bytesMax) => stream(request, (answer) => gather(request.url, answer, bytesMax)) };
}

async function gather(url: string, answer: HttpStream, bytesMax: number): Promise<HttpAnswer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer.body) {
    length += part.length;
    if (length > bytesMax) throw new HttpError('too-large', `${url} answers with more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return { status: answer.status, headers: answer.headers, body: Buffer.concat(parts) };
}

/** Another origin is never followed: a captive portal must not become a release server. */
function redirected(from: URL, location: string, request: HttpRequest): URL {
  if (!URL.canParse(location, from.href))
    throw new HttpError('redirect-refused', `${from.href} redirects to no address`);
  const to = new URL(location, from.href);
  if ((request.method ?? 'GET') !== 'GET' || to.origin !== from.origin) {
    throw new HttpError('redirect-refused', `${from.href} redirects to ${to.origin}`);
  }
  return to;
}

type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'redirect'; readonly location: string };

async function exchange<T>(
  request: HttpRequest,
  limits: Limits,
  way: Way,
  deadline: AbortSignal,
  consume: (answer: HttpStream) => Promise<T>,
): Promise<Outcome<T>> {
  const { default: got } = await import('got');
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

function stallWatch({ stallMs, slowWindowMs, slowBytesMin }: Limits): StallWatch {
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
