/** Reads and joins addresses, for every program. */

/**
 * A path of the protocol (`/v1/checkin`, `/releases`) below a server's address, which may itself have a path.
 * Signatures cover the path as given here, below the base: the part above it belongs to the site, and a reverse proxy
 * may strip it.
 */
export function addressBelow(base: string, path: string): string {
  const above = base.replace(/\/+$/, '');
  const below = path.replace(/^\/+/, '');
  return below === '' ? above : `${above}/${below}`;
}

/** The path of a base address, without a slash at its end; empty if it has none. */
export function basePathOf(base: string): string {
  return new URL(base).pathname.replace(/\/+$/, '');
}

const defaultPorts: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * The host name in a `Host` header or an address, in one form: lower case, without port or final dot. Anything but a
 * port after the bracket of an IPv6 address stays, so that the result matches no host.
 */
export function hostNameOf(host: string): string {
  const name = host.trim().toLowerCase();
  if (name.startsWith('[')) return name.replace(/^(\[[^\]]*\]):\d*$/, '$1');
  return name.replace(/:\d*$/, '').replace(/\.$/, '');
}

/** Name and port, in one form: the default port of the scheme is left out. */
export function authorityOf(host: string, scheme: string): string {
  const port = /:(\d+)$/.exec(host.trim())?.[1];
  const name = hostNameOf(host);
  return port === undefined || port === defaultPorts[scheme] ? name : `${name}:${port}`;
}

/** Does an address lead to this machine itself, so that nobody on a network can read what is sent there? */
export function isLoopback(address: string): boolean {
  const name = hostNameOf(new URL(address).host);
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}

/** A server's address in one form, for comparison. */
export function plainAddress(address: string): string {
  const { origin, pathname } = new URL(address);
  return origin + pathname.replace(/\/+$/, '');
}

/**
 * Why an address cannot be a server's; null: it can. A path is allowed.
 * @returns words that follow the address in a sentence
 */
export function whyNoServerAddress(address: string): string | null {
  if (!URL.canParse(address)) return 'is not an address: it needs a scheme, like https://fleet.example';
  const url = new URL(address);
  if (defaultPorts[url.protocol] === undefined) return 'is neither http:// nor https://';
  if (url.username !== '' || url.password !== '') return 'has a name or a password in it';
  if (url.search !== '' || url.hash !== '') return 'has a query or a fragment after its path';
  return null;
}
