import { emptyDirectory, type Inode, InodeTable, rootInode } from './inodes.ts';

/**
 * What a disk may hold after the power went. The model, each sentence with its test in `crash.test.ts`:
 * - A write is undecided until its own file is synced: kept, lost or torn, in any order with other writes. Of a write
 *   that makes a file longer, the length may be there without the bytes.
 * - A change of a name is undecided until its directory is synced: there or not, each by itself. Syncing a file does
 *   not keep its name, and syncing a directory does not keep the content of its files.
 * - A rename is one change: both of its names, or neither. Between two directories it is decided when both are synced.
 * - A directory that is marked as volatile (tmpfs) is empty after a power cut, and nothing can be moved in or out of it.
 * - A killed process loses nothing.
 * Modes, owners and times are not part of the model: they are as they were set last.
 */
/** A name's new meaning in a directory; null when it goes. */
export interface NameChange {
  readonly directory: number;
  readonly name: string;
  readonly inode: number | null;
}

interface Write {
  readonly kind: 'write';
  readonly inode: number;
  readonly bytes: Buffer;
  readonly position: number;
}

export type Undecided =
  | Write
  | { readonly kind: 'names'; readonly changes: readonly NameChange[]; readonly synced: readonly number[] };

/** How much of one undecided thing the disk has after a cut. */
export type Fate = 'lost' | 'whole' | 'head' | 'tail' | 'length';

const sectorBytes = 512;

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

function afterWrite(before: Buffer, { bytes, position }: Write, fate: Fate): Buffer {
  const middle = Math.ceil(bytes.length / 2 / sectorBytes) * sectorBytes;
  if (fate === 'head') return writtenInto(before, bytes.subarray(0, middle), position);
  if (fate === 'tail') return writtenInto(before, bytes.subarray(middle), position + middle);
  // The file is as long as it will be, and holds what it held: zeros where nothing was.
  if (fate === 'length') return writtenInto(before, Buffer.alloc(0), position + bytes.length);
  return writtenInto(before, bytes, position);
}

/** What a write made of a content: many disks share both, and so the outcome, whose digest is then known. */
const outcomes = new WeakMap<Write, { fate: Fate; before: Buffer; after: Buffer }[]>();

function applyWrite(inodes: InodeTable, item: Write, fate: Fate): InodeTable {
  const inode = inodes.get(item.inode);
  if (inode?.kind !== 'file') return inodes;
  const { bytes: before } = inode;
  const known = outcomes.get(item) ?? [];
  let outcome = known.find((one) => one.fate === fate && one.before === before);
  if (outcome === undefined) {
    outcome = { fate, before, after: afterWrite(before, item, fate) };
    outcomes.set(item, [...known, outcome]);
  }
  return inodes.with(item.inode, { ...inode, bytes: outcome.after });
}

function changeNames(inodes: InodeTable, changes: readonly NameChange[]): InodeTable {
  return changes.reduce((table, { directory, name, inode }) => {
    const before = table.get(directory);
    if (before?.kind !== 'directory') return table;
    const names = new Map(before.names);
    if (inode === null) names.delete(name);
    else names.set(name, inode);
    return table.with(directory, { ...before, names });
  }, inodes);
}

export function apply(inodes: InodeTable, item: Undecided, fate: Fate): InodeTable {
  if (fate === 'lost') return inodes;
  return item.kind === 'write' ? applyWrite(inodes, item, fate) : changeNames(inodes, item.changes);
}

/** One disk at one moment: what programs see, what is decided, and what is not, in the order in which it was asked for. */
export interface DiskState {
  readonly seen: InodeTable;
  readonly decided: InodeTable;
  readonly undecided: readonly Undecided[];
  readonly nextInode: number;
}

export function emptyDisk(): DiskState {
  return settledDisk(InodeTable.empty(), rootInode + 1);
}

/** A disk on which everything that can be seen is decided. */
export function settledDisk(seen: InodeTable, nextInode: number): DiskState {
  return { seen, decided: seen, undecided: [], nextInode };
}

/** What is left when the power goes and each undecided thing has its fate. `volatile` are paths below the root. */
export function imageOf(disk: DiskState, fates: readonly Fate[], volatile: readonly string[] = []): DiskState {
  let inodes = disk.undecided.reduce((table, item, index) => apply(table, item, fates[index] ?? 'lost'), disk.decided);
  for (const path of volatile) {
    const inode = inodeAt(inodes, path);
    if (inode !== undefined) inodes = inodes.with(inode, emptyDirectory);
  }
  return settledDisk(inodes, disk.nextInode);
}

/** Every inode that a name leads to, decided or not. */
function reachable({ decided, undecided }: DiskState): Set<number> {
  const found = new Set<number>([rootInode]);
  const byDirectory = new Map<number, number[]>();
  for (const item of undecided) {
    if (item.kind !== 'names') continue;
    for (const { directory, inode } of item.changes) {
      if (inode !== null) byDirectory.set(directory, [...(byDirectory.get(directory) ?? []), inode]);
    }
  }
  const pending = [rootInode];
  for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
    const inode = decided.get(number);
    const children = inode?.kind === 'directory' ? [...inode.names.values()] : [];
    for (const child of [...children, ...(byDirectory.get(number) ?? [])]) {
      if (found.has(child)) continue;
      found.add(child);
      pending.push(child);
    }
  }
  return found;
}

/** The disk without what is undecided where no name leads any more: whatever becomes of it, nobody can see it. */
export function withoutUnreachable(disk: DiskState): DiskState {
  if (disk.undecided.length === 0) return disk;
  const found = reachable(disk);
  const undecided = disk.undecided.filter((item) =>
    item.kind === 'write' ? found.has(item.inode) : item.changes.some(({ directory }) => found.has(directory)),
  );
  return { ...disk, undecided };
}

export function inodeAt(inodes: InodeTable, path: string): number | undefined {
  let inode: number | undefined = rootInode;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const directory: Inode | undefined = inode === undefined ? undefined : inodes.get(inode);
    inode = directory?.kind === 'directory' ? directory.names.get(name) : undefined;
  }
  return inode;
}

/** The disk after one directory was synced. */
export function withNamesSynced(disk: DiskState, directory: number): DiskState {
  // From the last to the first: an earlier change of a name that a later, decided one needs is decided with it.
  const settled = new Set<string>();
  const kept = disk.undecided.toReversed().map((item): Undecided | 'decided' => {
    if (item.kind === 'write') return item;
    const synced = [...new Set([...item.synced, directory])];
    const keys = item.changes.map((change) => `${change.directory}/${change.name}`);
    const done = item.changes.every((change) => synced.includes(change.directory));
    if (!done && !keys.some((key) => settled.has(key))) return { ...item, synced };
    for (const key of keys) settled.add(key);
    return 'decided';
  });
  const fates = kept.toReversed();
  const decided = disk.undecided.reduce(
    (table, item, index) =>
      fates[index] === 'decided' && item.kind === 'names' ? changeNames(table, item.changes) : table,
    disk.decided,
  );
  return { ...disk, decided, undecided: fates.filter((item) => item !== 'decided') };
}
