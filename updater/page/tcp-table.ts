/** One end of a connection: an address as 16 bytes in hexadecimal, and a port. */
export interface End {
  readonly address: string;
  readonly port: number;
}

/** IPv4 inside IPv6 (RFC 4291 section 2.5.5.2): one form for both. */
const mappedPrefix = '00000000000000000000ffff';
const loopback6 = '00000000000000000000000000000001';

function hexOf4(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return mappedPrefix + bytes.join('');
}

/** The 16 bytes of an address as a socket reports it. */
export function hexOf(address: string): string {
  const plain = address.split('%')[0] ?? '';
  if (!plain.includes(':')) return hexOf4(plain);
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (dotted !== undefined) return hexOf4(dotted);
  const [head = '', tail] = plain.toLowerCase().split('::');
  const groups = (text = '') => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail)];
  const missing = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...Array<string>(missing).fill('0'), ...after];
  return all.map((group) => group.padStart(4, '0')).join('');
}

export function isLoopbackHex(hex: string): boolean {
  return hex === loopback6 || hex.startsWith(`${mappedPrefix}7f`);
}

/** The two ends of one of our connections. */
export interface Ends {
  readonly ours: End;
  readonly theirs: End;
}

/** The kernel prints every four bytes as one number in this machine's byte order. @param isLittle that byte order */
function printedOf({ address, port }: End, isLittle: boolean): string {
  const words = address.match(/.{8}/g) ?? [];
  const bytes = words.map((word) => (isLittle ? (word.match(/../g) ?? []).reverse().join('') : word)).join('');
  return `${bytes}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

/**
 * Searches the lines of /proc/net/tcp and tcp6 (proc_net_tcp in the kernel's documentation) for the users whose sockets
 * are the other ends of some connections of this machine: their local end is our remote end. A line costs the same
 * however many connections are searched for. A socket that no process owns has no inode and is listed with
 * user 0; it counts as nobody's.
 */
export class UserSearch {
  readonly #isLittle: boolean;
  /** By the ends as both tables print them, and also in the form of the IPv6 table. */
  readonly #wanted = new Map<string, string>();
  readonly #users = new Map<string, number>();
  readonly #left = new Set<string>();

  constructor(all: readonly Ends[], isLittle: boolean) {
    this.#isLittle = isLittle;
    for (const ends of all) {
      const name = this.#nameOf(ends);
      this.#left.add(name);
      this.#wanted.set(name, name);
      const isMapped = [ends.ours, ends.theirs].every(({ address }) => address.startsWith(mappedPrefix));
      if (isMapped) this.#wanted.set(name.replace(/[0-9A-F]{24}(?=[0-9A-F]{8}:)/g, ''), name);
    }
  }

  #nameOf({ ours, theirs }: Ends): string {
    return `${printedOf(theirs, this.#isLittle)} ${printedOf(ours, this.#isLittle)}`;
  }

  /** @returns true when every user has been found */
  line(line: string): boolean {
    const start = line.indexOf(': ') + 2;
    const end = line.indexOf(' ', line.indexOf(' ', start) + 1);
    const name = this.#wanted.get(line.slice(start, end));
    if (name !== undefined) {
      const [, , , , uid = '', , inode = '0'] = line.slice(end).trim().split(/\s+/);
      if (inode !== '0' && /^\d+$/.test(uid)) {
        this.#users.set(name, Number(uid));
        this.#left.delete(name);
      }
    }
    return this.#left.size === 0;
  }

  /** @returns null: not seen */
  uidOf(ends: Ends): number | null {
    return this.#users.get(this.#nameOf(ends)) ?? null;
  }
}
