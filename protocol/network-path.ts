import { z } from 'zod';
import { hostNameOf } from './address.ts';
import { type Digest, sha256 } from './digest.ts';

/**
 * The network path from an appliance to its server, the same for set-up, updater and agent: a few entries, tried in
 * order until one of them brings a verified answer.
 */

export const webAddressShape = z.url({ protocol: /^https?$/ }).max(300);

export const certificatesShape = z.object({
  /** SHA-256 of the public key (SPKI, DER) of a certificate that must be in the chain; none: any trusted chain. */
  pins: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(8),
  /** Certificates of private authorities, PEM, besides those that the system trusts. */
  pem: z.array(z.string().max(8_000)).max(4),
});

/** Hosts that are reached without the proxy: `host`, `.domain` with everything below it, `host:port`, `*`. */
export const noProxyShape = z.array(z.string().regex(/^[^\s,]{1,253}$/)).max(32);

export const pathEntryShape = z.object({
  /** An HTTP proxy for everything; null: none. */
  proxy: webAddressShape.nullable(),
  noProxy: noProxyShape.exactOptional(),
  ca: certificatesShape,
});
export type PathEntry = z.infer<typeof pathEntryShape>;

/** Directly to the server, with the authorities that the system trusts. */
export const directEntry: PathEntry = { proxy: null, ca: { pins: [], pem: [] } };

/** The entry that was set last, the one that was verified last, and that of set-up. */
const entriesMax = 3;

/** network-path.json: for the agent, which reads it before each check-in. It may hold the password of a proxy. */
export const networkPathShape = z.object({ v: z.literal(1), entries: z.array(pathEntryShape).min(1).max(entriesMax) });
/** Eight certificates per set, and the rest. */
export const networkPathBytesMax = 120_000;

function formOf({ proxy, noProxy = [], ca }: PathEntry): string {
  return JSON.stringify([proxy, noProxy, ca.pins, ca.pem]);
}

export function isSameEntry(one: PathEntry, other: PathEntry): boolean {
  return formOf(one) === formOf(other);
}

/** Each entry once, in the order in which they are tried; `first` before the others if it is one of them. */
export function inTurn(entries: readonly PathEntry[], first: PathEntry | null = null): readonly PathEntry[] {
  const turn = first === null ? entries : [...entries.filter((entry) => isSameEntry(entry, first)), ...entries];
  return turn.filter((entry, index) => turn.findIndex((other) => isSameEntry(other, entry)) === index);
}

/** Names the entries that a program uses, so that those of two programs can be compared. */
export function networkPathDigest(entries: readonly PathEntry[]): Digest {
  return sha256(inTurn(entries).map(formOf).join('\n'));
}

/**
 * How much of the remaining time the next entry may take: half, so that a silent proxy leaves as much to those after
 * it; the last entry gets all of it. So more entries never make an exchange longer.
 */
export function shareOfTime(leftMs: number, entriesLeft: number): number {
  return Math.max(1, Math.floor(entriesLeft > 1 ? leftMs / 2 : leftMs));
}

/** The proxy through which an address is reached; null: none. */
export function proxyFor({ proxy, noProxy = [] }: PathEntry, address: string): string | null {
  return proxy === null || noProxy.some((pattern) => isMeant(pattern, new URL(address))) ? null : proxy;
}

/** As most programs read NO_PROXY: a name matches itself and, like one with a dot before it, everything below it. */
function isMeant(pattern: string, { hostname, host, protocol }: URL): boolean {
  if (pattern === '*') return true;
  const port = /^(?:\[.*\]|[^:]*):(\d+)$/.exec(pattern)?.[1];
  const ownPort = /:(\d+)$/.exec(host)?.[1] ?? (protocol === 'https:' ? '443' : '80');
  if (port !== undefined && port !== ownPort) return false;
  const bare = pattern.replace(/^\*?\./, '');
  // An IPv6 address may lack its brackets.
  const wanted = hostNameOf(/^[^[]*:.*:/.test(bare) ? `[${bare}]` : bare);
  const name = hostNameOf(hostname);
  return name === wanted || name.endsWith(`.${wanted}`);
}

/**
 * Does the entry lead directly to the server, so that a program without a path takes the same one? Pins only narrow it.
 */
export function isPlain(entry: PathEntry, address: string): boolean {
  return proxyFor(entry, address) === null && entry.ca.pem.length === 0;
}

/** For people: without any name and password before the @. */
export function shownProxy(proxy: string): string {
  const url = new URL(proxy);
  url.username = '';
  url.password = '';
  return url.href;
}

/** For people: how an entry reaches the server. */
export function entryWords({ proxy }: PathEntry): string {
  return proxy === null ? 'without a proxy' : `through ${shownProxy(proxy)}`;
}
