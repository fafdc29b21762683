import { BlockList, isIP } from 'node:net';
import { startTexts } from './texts.ts';

/** One customer has the first four groups of an IPv6 address, and so all 2^64 addresses below them. */
const groupsOfPeer = 4;

/** An IPv4 address in the form of IPv6 (RFC 4291 section 2.5.5.2), as a socket for both families shows it. */
const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

function groupsOf(address: string): string[] {
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  if (tail === undefined) return groups(head);
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
}

/**
 * Who counts as one peer: an IPv4 address, or the /64 of an IPv6 one. All texts that are no address (a proxy may hand
 * on anything) count as one peer together.
 */
export function peerOf(address: string | undefined): string {
  const plain = mapped.exec(address ?? '')?.[1] ?? address ?? '';
  if (isIP(plain) === 4) return plain;
  if (isIP(plain) !== 6) return 'unknown';
  const first = groupsOf(plain).slice(0, groupsOfPeer);
  return `${first.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}

/** The name of an interface, as Linux bounds it. A proxy may hand on any text there. */
const zone = /^[\w.-]{1,15}$/;

/** The address of the client. If a proxy hands on something that is no address, it is the proxy's own. */
export function addressOf({ ip, socket }: { ip: string; socket: { remoteAddress?: string | undefined } }): string {
  const [address = '', of] = ip.split('%');
  if (isIP(address) === 0) return socket.remoteAddress ?? 'unknown';
  return of === undefined || zone.test(of) ? ip.slice(0, address.length + 1 + (of?.length ?? 0)) : address;
}

/** Why this text names no proxy, or null. One address, or a block of them (10.0.0.0/24). */
export function whyNoProxyAddress(text: string): string | null {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  if (family === 0) return startTexts.noProxyAddress;
  if (bits === undefined) return null;
  const fits = /^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= (family === 4 ? 32 : 128);
  return fits ? null : startTexts.noPrefixLength(family === 4 ? 32 : 128);
}

/** Is this the address of a proxy whose X-Forwarded-For is believed? @param proxies passed {@link whyNoProxyAddress} */
export function proxyTest(proxies: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) => {
    const plain = mapped.exec(address ?? '')?.[1] ?? address ?? '';
    const family = isIP(plain);
    return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
  };
}
