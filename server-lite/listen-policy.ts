import { basePathOf, hostNameOf, whyNoServerAddress } from '../protocol/address.ts';
import { loopbackHosts } from './guard.ts';
import { whyNoProxyAddress } from './peer.ts';
import { startTexts } from './texts.ts';

/** What is served now. */
export interface Tls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Reads the files again. @returns whether a new pair was taken */
  renewed?(): boolean;
  /** A sentence if clients refuse the certificate, or will soon. */
  trouble?(nowMs: number): string | null;
}

export interface Listen {
  readonly host: string;
  /** 0: any free port; null: none was given, so the one of the last start. */
  readonly port: number | null;
  readonly tls: Tls | null;
  /** Where appliances and people reach the server, if not where it listens. Claim codes carry the first one. */
  readonly publicUrls: readonly string[];
  /** May the dashboard be read without the token? */
  readonly openReading: boolean;
  /** Addresses of reverse proxies: only these are believed about the client of a request. */
  readonly trustedProxies: readonly string[];
}

export interface AskedListen extends Pick<Listen, 'host' | 'port' | 'tls' | 'publicUrls'> {
  /** Everybody on this machine may read the dashboard. A socket cannot show that: a proxy is on this machine, too. */
  readonly openToThisHost?: boolean;
  readonly trustedProxies?: readonly string[];
}

class ListenPolicyError extends Error {
  readonly code:
    | 'not-loopback-without-tls'
    | 'open-to-this-host-alone'
    | 'public-url-invalid'
    | 'trusted-proxy-invalid';
  constructor(code: ListenPolicyError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Beyond loopback the server listens only with TLS. Nothing is read without the token, unless an option allows it to
 * this host, and nobody else reaches the server.
 * @throws ListenPolicyError
 */
export function listenPolicy(asked: AskedListen): Listen {
  for (const url of asked.publicUrls) {
    const why = whyNoServerAddress(url);
    if (why !== null) throw new ListenPolicyError('public-url-invalid', startTexts.publicUrlInvalid(url, why));
  }
  const loopback = loopbackHosts.has(asked.host) || asked.host === '::1';
  if (!loopback && (asked.tls === null || asked.publicUrls.length === 0)) {
    throw new ListenPolicyError('not-loopback-without-tls', startTexts.notLoopback(asked.host));
  }
  const { openToThisHost = false, trustedProxies = [], ...rest } = asked;
  for (const proxy of trustedProxies) {
    const why = whyNoProxyAddress(proxy);
    if (why !== null) throw new ListenPolicyError('trusted-proxy-invalid', startTexts.proxyInvalid(proxy, why));
  }
  const isReached =
    !loopback || trustedProxies.length > 0 || [...namesOf(asked)].some((name) => !loopbackHosts.has(name));
  if (openToThisHost && isReached) {
    throw new ListenPolicyError('open-to-this-host-alone', startTexts.openBeyondThisHost);
  }
  return { ...rest, trustedProxies, openReading: openToThisHost };
}

/**
 * Do clients that use this name speak HTTPS, to us or to the proxy before us? Configured, never taken from a socket. A
 * proxy may use our own address; then any HTTPS name is enough.
 * @param host of the Host header, without its port
 */
export function isReachedByTls({ tls, publicUrls }: Pick<Listen, 'tls' | 'publicUrls'>, host: string): boolean {
  if (tls !== null) return true;
  const urls = publicUrls.map((url) => new URL(url));
  const named = urls.filter((url) => hostNameOf(url.host) === host);
  return (named.length > 0 ? named : urls).some(({ protocol }) => protocol === 'https:');
}

/** The names of the server, each in one form. */
export function namesOf({ publicUrls }: Pick<Listen, 'publicUrls'>): ReadonlySet<string> {
  return new Set(publicUrls.map((url) => hostNameOf(new URL(url).host)));
}

/** The paths below which the server is reached, longest first: a reverse proxy may pass one on, or strip it. */
export function basePathsOf({ publicUrls }: Listen): readonly string[] {
  const paths = new Set(publicUrls.map(basePathOf).filter((path) => path !== ''));
  return [...paths].sort((a, b) => b.length - a.length);
}

/** @returns the path of the protocol for a request, with or without a base path */
export function belowBase(path: string, basePaths: readonly string[]): string {
  const base = basePaths.find((one) => path === one || path.startsWith(`${one}/`) || path.startsWith(`${one}?`));
  if (base === undefined) return path;
  const rest = path.slice(base.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
