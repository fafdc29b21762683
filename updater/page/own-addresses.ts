import type { Files } from '../effects/files.ts';
import { readTable } from './kernel-table.ts';
import { hexOf } from './tcp-table.ts';

/**
 * Read as tables: the page may not open a netlink socket, which os.networkInterfaces() needs. The tables also list
 * interfaces without a cable.
 */
const table4 = '/proc/net/fib_trie';
const table6 = '/proc/net/if_inet6';

/**
 * The addresses of this machine, of both families, in the form of {@link hexOf}.
 * @returns null when they could not be read to their end
 */
export function ownAddresses(files: Files): ReadonlySet<string> | null {
  const own = new Set<string>();
  let leaf = '';
  const read4 = readTable(files, table4, (line) => {
    leaf = /\|-- (\d+\.\d+\.\d+\.\d+)$/.exec(line)?.[1] ?? leaf;
    if (leaf !== '' && line.endsWith('/32 host LOCAL')) own.add(hexOf(leaf));
    return false;
  });
  const read6 = readTable(files, table6, (line) => {
    const address = /^[0-9a-f]{32}(?= )/.exec(line)?.[0];
    if (address !== undefined) own.add(address);
    return false;
  });
  return read4 === 'cut' || read6 === 'cut' ? null : own;
}
