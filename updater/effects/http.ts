import { HttpError } from './http-error.ts';

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

export type HttpLimits = Readonly<Record<keyof typeof httpLimits, number>>;

/** @param way is asked for at each exchange: it may change while the updater runs */
export function makeHttp(changed: Partial<HttpLimits> = {}, way: () => Way = () => direct): Http {
  const limits = { ...httpLimits, ...changed };
  const stream: Http['stream'] = async (request, consume) => {
    // got, and what Node brings for HTTP, take longer to load than a run that asks nobody may take in all.
    const { exchange } = await import('./exchange.ts');
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
