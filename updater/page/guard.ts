import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Who may speak to the page, and under which names. */
export interface Guard {
  readonly scheme: 'http' | 'https';
  /** `name:port` forms under which a browser may have come here, in lower case. */
  readonly hosts: ReadonlySet<string>;
  /** Needed by everyone where the page is not on loopback alone. */
  readonly password: string | null;
}

/** Why a request is not answered, as status and sentence. */
export interface Refusal {
  readonly status: 400 | 401 | 403;
  readonly sentence: string;
}

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Loopback's names and those that were given, each with the port; without it where it is the scheme's own. */
export function hostsOf(scheme: Guard['scheme'], names: readonly string[], port: number): Set<string> {
  const all = [...loopbackNames, ...names].map((name) => name.toLowerCase());
  const isOwnPort = port === (scheme === 'https' ? 443 : 80);
  return new Set(all.flatMap((name) => [`${name}:${port}`, ...(isOwnPort ? [name] : [])]));
}

/** Compares digests: neither length nor content of the right one shows in the time that it takes. */
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
 * Host first, against names that were made to point here (DNS rebinding); Origin for what changes something, against
 * forms of other sites. A tool that is no browser sends no Origin, and no site can make a browser leave it out.
 */
export function refusalOf(guard: Guard, method: string, headers: IncomingHttpHeaders): Refusal | null {
  const host = headers.host?.toLowerCase() ?? '';
  if (!guard.hosts.has(host)) {
    return {
      status: 400,
      sentence: 'This page is not known under that name. Use the address that the appliance prints.',
    };
  }
  if (guard.password !== null && !isSame(passwordOf(headers.authorization) ?? '', guard.password)) {
    return { status: 401, sentence: 'This page asks for the password that was set for it.' };
  }
  if (method === 'GET' || method === 'HEAD') return null;
  const site = headers['sec-fetch-site'];
  const isForeign = headers.origin !== undefined && headers.origin.toLowerCase() !== `${guard.scheme}://${host}`;
  if (isForeign || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
    return { status: 403, sentence: 'Another site tried to use this page. Nothing was changed.' };
  }
  return null;
}
