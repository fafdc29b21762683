import type { Socket } from 'node:net';
import { endianness } from 'node:os';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { systemUser } from '../identity/system-users.ts';
import type { PeerName } from './failures.ts';
import { readTable } from './kernel-table.ts';
import { ownAddresses } from './own-addresses.ts';
import { type Ends, hexOf, isLoopbackHex, UserSearch } from './tcp-table.ts';

/** Both, because an IPv6 socket may carry IPv4. */
const tables = ['/proc/net/tcp', '/proc/net/tcp6'] as const;
/** A table is not read at one instant, and the kernel may skip a line while others disappear. */
const looks = 2;
/**
 * All users of this machine whom the kernel could not name, together, so that none of them gets extra tries by using
 * many addresses. It is (uid_t)-1, the user that no process can have, in the form that every version can read in the
 * record of wrong PINs.
 */
const anyoneHere: PeerName = 'uid:4294967295';

/** The other end of a connection. */
export type Peer =
  | { readonly kind: 'known'; readonly name: PeerName }
  /** The agent's user, which asks the updater in another way. */
  | { readonly kind: 'agent' }
  /** A user on this machine whom the kernel can no longer name. */
  | { readonly kind: 'gone' };

type SocketEnds = Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>;

/** The agent's user: the owner of its directory in run/, or the user of that name. */
function agentUids(files: Files, layout: Layout): Set<number> {
  const corner = files.stat(layout.agentRun);
  const uids = [corner?.kind === 'directory' ? corner.uid : 0, systemUser(files, 'hf-agent')?.uid ?? 0];
  // When everything runs as one user, there is nobody to refuse.
  return new Set(uids.filter((uid) => uid > 0 && uid !== process.getuid?.()));
}

/** Names on the network: an IPv4 address, or the /64 of an IPv6 address, which belongs to one customer. */
function networkName(hex: string): PeerName {
  const groups = hex.match(/.{4}/g) ?? [];
  if (!hex.startsWith('00000000000000000000ffff'))
    return `ip:${groups
      .slice(0, 4)
      .map((group) => group.replace(/^0+(?=.)/, ''))
      .join(':')}`;
  const bytes = hex.slice(24).match(/../g) ?? [];
  return `ip:${bytes.map((byte) => Number.parseInt(byte, 16)).join('.')}`;
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: SocketEnds): Ends | null {
  if (remoteAddress === undefined || remotePort === undefined) return null;
  if (localAddress === undefined || localPort === undefined) return null;
  return {
    theirs: { address: hexOf(remoteAddress), port: remotePort },
    ours: { address: hexOf(localAddress), port: localPort },
  };
}

/** One look. @returns whether everything was seen */
function isSeen(files: Files, search: UserSearch): boolean {
  const readings = tables.map((path) => readTable(files, path, (line) => search.line(line)));
  return !readings.includes('cut') && readings.includes('whole');
}

/**
 * Whether a connection comes from this machine when the kernel shows no other end of it. What goes to loopback never
 * comes from elsewhere, whatever address the other end took.
 * @returns null: unknown
 */
function isHere({ ours, theirs }: Ends, ownOf: () => ReadonlySet<string> | null): boolean | null {
  if (isLoopbackHex(ours.address) || isLoopbackHex(theirs.address) || theirs.address === ours.address) return true;
  return ownOf()?.has(theirs.address) ?? null;
}

/**
 * The other end of each connection: on this machine its user, from elsewhere its address. All new connections are
 * looked up in one reading, so that a peer that opens many does not keep the page busy.
 */
export function peersOf(files: Files, layout: Layout, sockets: readonly SocketEnds[]): Peer[] {
  const agents = agentUids(files, layout);
  const all = sockets.map(endsOf);
  const search = new UserSearch(
    all.filter((ends) => ends !== null),
    endianness() === 'LE',
  );
  const isUnknown = (ends: Ends | null): boolean => ends !== null && search.uidOf(ends) === null;
  let isWhole = true;
  for (let look = 0; look < looks && isWhole && all.some(isUnknown); look += 1) isWhole = isSeen(files, search);
  let own: ReadonlySet<string> | null | undefined;
  const ownOf = () => {
    if (own === undefined) own = ownAddresses(files);
    return own;
  };
  return all.map((ends): Peer => {
    if (ends === null) return { kind: 'gone' };
    const uid = search.uidOf(ends);
    if (uid !== null) return agents.has(uid) ? { kind: 'agent' } : { kind: 'known', name: `uid:${uid}` };
    const here = isHere(ends, ownOf);
    if (here === false) return { kind: 'known', name: networkName(ends.theirs.address) };
    return here === true && isWhole ? { kind: 'gone' } : { kind: 'known', name: anyoneHere };
  });
}
