import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { pageTexts } from '../words/texts.ts';

/** How to reach the page, and with which password. */
export interface Guard {
  readonly scheme: 'http' | 'https';
  /** `name:port` forms by which a browser may have come here, in lower case. */
  readonly hosts: ReadonlySet<string>;
  /** Everyone needs it when the page listens beyond loopback. */
  readonly password: string | null;
}

/** Why a request is refused, as status and sentence. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 429;
  readonly sentence: string;
}

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Loopback's names and the given ones, each with the port, and also without it when it is the scheme's default. */
export function hostsOf(scheme: Guard['scheme'], names: readonly string[], port: number): Set<string> {
  const all = [...loopbackNames, ...names].map((name) => name.toLowerCase());
  const isOwnPort = port === (scheme === 'https' ? 443 : 80);
  return new Set(all.flatMap((name) => [`${name}:${port}`, ...(isOwnPort ? [name] : [])]));
}

/** Compares digests, so that the time taken reveals neither length nor content of the right one. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function passwordOf(authorization: string | undefined): string | null {
  const encoded = /^Basic ([A-Za-z0-9+/=]{1,400})$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

/**
 * Checks Host first, against DNS rebinding, and Origin for requests that change something, against forms of other
 * sites. Tools other than browsers send no Origin, and no site can make a browser omit it.
 */
export function refusalOf(guard: Guard, method: string, headers: IncomingHttpHeaders): Refusal | null {
  const host = headers.host?.toLowerCase() ?? '';
  if (!guard.hosts.has(host)) {
    return {
      status: 400,
      sentence: pageTexts.unknownName,
    };
  }
  if (guard.password !== null && !isSame(passwordOf(headers.authorization) ?? '', guard.password)) {
    return { status: 401, sentence: pageTexts.needsPassword };
  }
  if (method === 'GET' || method === 'HEAD') return null;
  const site = headers['sec-fetch-site'];
  const isForeign = headers.origin !== undefined && headers.origin.toLowerCase() !== `${guard.scheme}://${host}`;
  if (isForeign || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
    return { status: 403, sentence: pageTexts.otherSite };
  }
  return null;
}
