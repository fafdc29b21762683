import { inodeAt } from './disk.ts';
import { type InodeTable, rootInode } from './inodes.ts';

const linksMax = 40;

export function failed(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** The names on the way to a path, and whether a link at its end is followed. */
interface Way {
  readonly parts: readonly string[];
  readonly following: boolean;
}

/** Paths that are remembered; names of starts are random, and each comes once. */
const waysMax = 10_000;
/** The same paths are asked for a million times. */
const ways = new Map<string, Way>();

export function wayOf(path: string): Way {
  const known = ways.get(path);
  if (known !== undefined) return known;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const way = { parts, following: path.endsWith('/.') };
  if (ways.size >= waysMax) ways.clear();
  ways.set(path, way);
  return way;
}

/** Every inode below these paths, and theirs. */
export function inodesBelow(inodes: InodeTable, paths: readonly string[]): Set<number> {
  const found = new Set<number>();
  const pending = paths.map((path) => inodeAt(inodes, path)).filter((number) => number !== undefined);
  for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
    found.add(number);
    const inode = inodes.get(number);
    if (inode?.kind === 'directory') pending.push(...inode.names.values());
  }
  return found;
}

/** Where Linux has what a process has open; the number comes after it. */
export const heldPrefix = ['proc', 'self', 'fd'] as const;
export const heldParts = heldPrefix.length + 1;

/** The descriptor that a path begins at; null: it begins at the root. */
export function heldIn(parts: readonly string[]): number | null {
  return parts.length >= heldParts && heldPrefix.every((name, index) => parts[index] === name)
    ? Number(parts[heldPrefix.length])
    : null;
}

/**
 * The inode that names lead to, by whatever links; null when there is none. A link at the end is itself, unless it is followed.
 * @param start where the way begins; null: nowhere
 */
export function walked(
  inodes: InodeTable,
  parts: readonly string[],
  following: boolean,
  start: number | null = rootInode,
  links = 0,
): number | null {
  if (links > linksMax) throw failed('ELOOP', parts.join('/'));
  if (start === null) return null;
  let number = start;
  for (let index = 0; index < parts.length; index += 1) {
    const directory = inodes.get(number);
    if (directory?.kind !== 'directory') return null;
    const child = directory.names.get(parts[index] ?? '');
    if (child === undefined) return null;
    const inode = inodes.get(child);
    if (inode?.kind === 'link' && (following || index < parts.length - 1)) {
      const { target } = inode;
      const isFromRoot = target.startsWith('/');
      const way = [...(isFromRoot ? [] : parts.slice(0, index)), ...wayOf(target).parts, ...parts.slice(index + 1)];
      return walked(inodes, way, following, isFromRoot ? rootInode : start, links + 1);
    }
    number = child;
  }
  return number;
}
