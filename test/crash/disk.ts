import { createHash } from 'node:crypto';

/**
 * What a disk may hold after the power went. The model, each sentence with its test in `crash.test.ts`:
 * - A write is undecided until its own file is synced: kept, lost or torn, in any order with other writes. Of a write
 *   that makes a file longer, the length may be there without the bytes.
 * - A change of a name is undecided until its directory is synced: there or not, each by itself. Syncing a file does
 *   not keep its name, and syncing a directory does not keep the content of its files.
 * - A rename is one change: both of its names, or neither. Between two directories it is decided when both are synced.
 * - A directory that is marked as volatile (tmpfs) is empty after a power cut.
 * - A killed process loses nothing.
 * Modes, owners and times are not part of the model: they are as they were set last.
 */
export type Inode =
  | { readonly kind: 'file'; readonly bytes: Buffer; readonly mode: number }
  | { readonly kind: 'directory'; readonly names: ReadonlyMap<string, number>; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string };

/** A name's new meaning in a directory; null when it goes. */
export interface NameChange {
  readonly directory: number;
  readonly name: string;
  readonly inode: number | null;
}

export type Undecided =
  | { readonly kind: 'write'; readonly inode: number; readonly bytes: Buffer; readonly position: number }
  | { readonly kind: 'names'; readonly changes: readonly NameChange[]; readonly synced: readonly number[] };

/** How much of one undecided thing the disk has after a cut. */
export type Fate = 'lost' | 'whole' | 'head' | 'tail' | 'length';

export const rootInode = 0;
const sectorBytes = 512;
const emptyDirectory: Inode = { kind: 'directory', names: new Map(), mode: 0o755 };

/** Inodes never change in place, so that a copy of the table is a snapshot. */
export type Inodes = Map<number, Inode>;

function emptyInodes(): Inodes {
  return new Map([[rootInode, emptyDirectory]]);
}

function writtenInto(before: Buffer, bytes: Uint8Array, position: number): Buffer {
  const after = Buffer.alloc(Math.max(before.length, position + bytes.length));
  before.copy(after);
  after.set(bytes, position);
  return after;
}

/** The fates that differ for this thing. */
export function fatesOf(item: Undecided): readonly Fate[] {
  if (item.kind === 'names') return ['lost', 'whole'];
  return item.bytes.length > sectorBytes ? ['lost', 'whole', 'head', 'tail', 'length'] : ['lost', 'whole', 'length'];
}

function applyWrite(inodes: Inodes, item: Extract<Undecided, { kind: 'write' }>, fate: Fate): void {
  const inode = inodes.get(item.inode);
  if (inode?.kind !== 'file') return;
  const { bytes, position } = item;
  const middle = Math.ceil(bytes.length / 2 / sectorBytes) * sectorBytes;
  let after: Buffer;
  if (fate === 'head') after = writtenInto(inode.bytes, bytes.subarray(0, middle), position);
  else if (fate === 'tail') after = writtenInto(inode.bytes, bytes.subarray(middle), position + middle);
  // The file is as long as it will be, and holds what it held: zeros where nothing was.
  else if (fate === 'length') after = writtenInto(inode.bytes, Buffer.alloc(0), position + bytes.length);
  else after = writtenInto(inode.bytes, bytes, position);
  inodes.set(item.inode, { ...inode, bytes: after });
}

export function changeNames(inodes: Inodes, changes: readonly NameChange[]): void {
  for (const { directory, name, inode } of changes) {
    const before = inodes.get(directory);
    if (before?.kind !== 'directory') continue;
    const names = new Map(before.names);
    if (inode === null) names.delete(name);
    else names.set(name, inode);
    inodes.set(directory, { ...before, names });
  }
}

export function apply(inodes: Inodes, item: Undecided, fate: Fate): void {
  if (fate === 'lost') return;
  if (item.kind === 'write') applyWrite(inodes, item, fate);
  else changeNames(inodes, item.changes);
}

/** One disk at one moment: what programs see, what is decided, and what is not, in the order in which it was asked for. */
export interface DiskState {
  readonly seen: Inodes;
  readonly decided: Inodes;
  readonly undecided: readonly Undecided[];
  readonly nextInode: number;
}

export function emptyDisk(): DiskState {
  return { seen: emptyInodes(), decided: emptyInodes(), undecided: [], nextInode: rootInode + 1 };
}

/** A disk on which everything that can be seen is decided. */
export function settledDisk(seen: Inodes, nextInode: number): DiskState {
  return { seen: new Map(seen), decided: new Map(seen), undecided: [], nextInode };
}

/** What is left when the power goes and each undecided thing has its fate. `volatile` are paths below the root. */
export function imageOf(disk: DiskState, fates: readonly Fate[], volatile: readonly string[] = []): DiskState {
  const inodes: Inodes = new Map(disk.decided);
  for (const [index, item] of disk.undecided.entries()) apply(inodes, item, fates[index] ?? 'lost');
  for (const path of volatile) {
    const inode = inodeAt(inodes, path);
    if (inode !== undefined) inodes.set(inode, emptyDirectory);
  }
  return settledDisk(inodes, disk.nextInode);
}

/**
 * The disk without what is undecided below volatile directories: it is gone after a cut, whatever became of it. Done before
 * images are made, because each undecided thing multiplies them.
 */
export function withoutVolatile(disk: DiskState, volatile: readonly string[]): DiskState {
  const gone = new Set<number>();
  for (const path of volatile) {
    const number = inodeAt(disk.seen, path);
    if (number !== undefined) gone.add(number);
  }
  // Also what was there and has been removed since: its name was changed in a directory that goes.
  for (let before = -1; before !== gone.size; ) {
    before = gone.size;
    for (const number of [...gone]) {
      const inode = disk.seen.get(number);
      if (inode?.kind === 'directory') for (const child of inode.names.values()) gone.add(child);
    }
    for (const item of disk.undecided) {
      if (item.kind !== 'names') continue;
      for (const { directory, inode } of item.changes) if (gone.has(directory) && inode !== null) gone.add(inode);
    }
  }
  const undecided = disk.undecided.filter((item) =>
    item.kind === 'write' ? !gone.has(item.inode) : !item.changes.every(({ directory }) => gone.has(directory)),
  );
  return { ...disk, undecided };
}

function inodeAt(inodes: Inodes, path: string): number | undefined {
  let inode: number | undefined = rootInode;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const directory: Inode | undefined = inode === undefined ? undefined : inodes.get(inode);
    inode = directory?.kind === 'directory' ? directory.names.get(name) : undefined;
  }
  return inode;
}

/** Two disks with the same tree have the same digest, whatever their inodes are called. */
export function treeDigest(inodes: Inodes): string {
  const hash = createHash('sha256');
  const walk = (number: number, path: string): void => {
    const inode = inodes.get(number);
    if (inode === undefined) return;
    hash.update(`${inode.kind} ${path}\0`);
    if (inode.kind === 'file') hash.update(`${inode.bytes.length}\0`).update(inode.bytes);
    else if (inode.kind === 'link') hash.update(`${inode.target}\0`);
    else {
      const names = [...inode.names].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, child] of names) walk(child, `${path}/${name}`);
    }
  };
  walk(rootInode, '');
  return hash.digest('hex');
}
