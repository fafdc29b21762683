import { directEntry } from '../../protocol/network-path.ts';
import { effectTexts } from '../words/texts.ts';
import { HttpError } from './http-error.ts';
import {
  type HttpHead,
  type HttpLimits,
  type HttpRequest,
  type HttpStream,
  httpLimits,
  type RatedEntry,
} from './http-request.ts';

const direct: RatedEntry = { ...directEntry, rateBytesPerS: null };

export interface HttpAnswer extends HttpHead {
  readonly body: Buffer;
}

/** All HTTP of the updater. An answer with any status is an answer; a missing answer is an {@link HttpError}. */
export interface Http {
  /** One exchange with the whole body in memory, at most `bytesMax` of it. */
  fetch(request: HttpRequest, bytesMax: number): Promise<HttpAnswer>;
  /** One exchange; the connection ends with `consume`, whether it read everything or not. */
  stream<T>(request: HttpRequest, consume: (answer: HttpStream) => Promise<T>): Promise<T>;
  /** The entries of the network path in the order in which they are tried, each separately; absent: there is one. */
  readonly entries?: () => readonly EntryHttp[];
}

/** All HTTP over one entry of the network path. */
export interface EntryHttp extends Http {
  /** The entry's description, for people. */
  readonly words: string;
  /** What came over it was verified. `answer`: it was the server's answer to this request, which no copy can give. */
  proven(by: 'answer' | 'content'): void;
}

export function makeHttp(changed: Partial<HttpLimits> = {}, entry: RatedEntry = direct): Http {
  const limits = { ...httpLimits, ...changed };
  const stream: Http['stream'] = async (request, consume) => {
    // Loading got and Node's HTTP takes longer than a whole run without a request may take.
    const { exchange } = await import('./exchange.ts');
    const timeout = AbortSignal.timeout(request.totalMs);
    const deadline = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    let url = new URL(request.url);
    for (let hops = 0; hops <= limits.redirectsMax; hops += 1) {
      const outcome = await exchange({ ...request, url: url.href }, limits, entry, deadline, consume);
      if (outcome.kind === 'done') return outcome.value;
      url = redirected(url, outcome.location, request);
    }
    throw new HttpError('redirect-refused', effectTexts.tooManyRedirects(request.url, limits.redirectsMax));
  };
  return { stream, fetch: (request, bytesMax) => stream(request, (answer) => gather(request.url, answer, bytesMax)) };
}

async function gather(url: string, answer: HttpStream, bytesMax: number): Promise<HttpAnswer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer.body) {
    length += part.length;
    if (length > bytesMax) throw new HttpError('too-large', effectTexts.answerTooLarge(url, bytesMax));
    parts.push(part);
  }
  return { status: answer.status, headers: answer.headers, body: Buffer.concat(parts) };
}

/** Another origin is never followed: a captive portal must not become a release server. */
function redirected(from: URL, location: string, request: HttpRequest): URL {
  if (!URL.canParse(location, from.href))
    throw new HttpError('redirect-refused', effectTexts.redirectsNowhere(from.href));
  const to = new URL(location, from.href);
  if ((request.method ?? 'GET') !== 'GET' || to.origin !== from.origin) {
    throw new HttpError('redirect-refused', effectTexts.redirectsElsewhere(from.href, to.origin));
  }
  return to;
}

/** For an appliance without a server, and the reason for that. */
export function noServer(why: string): Http {
  const refuse = () => Promise.reject(new HttpError('unreachable', why));
  return { fetch: refuse, stream: refuse };
}
