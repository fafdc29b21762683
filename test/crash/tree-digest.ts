import { hash } from 'node:crypto';
import { type Inode, type InodeTable, rootInode } from './inodes.ts';

/** What of a tree counts, by name; what is not named counts as it is. */
export interface View {
  readonly names?: Readonly<Record<string, View>>;
  /** How everything counts that has no name here. */
  readonly others?: View;
  /** What counts of a file, in place of its bytes. */
  readonly tells?: (bytes: Buffer) => string;
  /** Nothing below counts, and whether it is there does not either. */
  readonly isNothing?: true;
}

const everything: View = {};

/** Two numbers of 32 bits: each is a hash of its own, and together they are the digest. */
interface Halves {
  readonly high: number;
  readonly low: number;
}

function halvesOf(content: string | Uint8Array): Halves {
  const digest = hash('sha256', content, 'buffer');
  return { high: digest.readInt32LE(0), low: digest.readInt32LE(4) };
}

/** The finalizer of MurmurHash3: each bit of the result depends on each bit of the value. */
function mixed(value: number): number {
  let bits = value ^ (value >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

function joined(left: Halves, right: Halves): Halves {
  return { high: mixed(left.high ^ mixed(right.high + 0x9e3779b9)), low: mixed(left.low ^ mixed(right.low + 1)) };
}

const ofDirectory = halvesOf('directory');
const ofLink = halvesOf('link');
const missing: Halves = { high: 0, low: 0 };

type Directory = Extract<Inode, { kind: 'directory' }>;
type Tells = NonNullable<View['tells']>;

/** One entry of a directory, and what it came to when it was looked at last. */
interface Entry {
  readonly name: Halves;
  readonly number: number;
  readonly view: View;
  inode: Inode | undefined;
  /** Where the inode is a directory. */
  known: Known | null;
  below: Halves;
  sum: Halves;
}

/** A directory, as one view has it: its names never change, and what is below them was so when it was looked at last. */
interface Known {
  readonly entries: readonly Entry[];
  high: number;
  low: number;
  digest: Halves;
}

/**
 * Digests of trees: two disks with the same tree have the same, whatever their inodes are called. The content of a file is
 * digested once, as SHA-256, because inodes share it from step to step; a directory is the sum of what its entries come to,
 * so that of a disk that differs in little from the one before, little is computed.
 */
export class TreeDigests {
  readonly #contents = new WeakMap<Buffer, Halves>();
  readonly #told = new Map<Tells, WeakMap<Buffer, Halves>>();
  readonly #known = new Map<View, WeakMap<Directory, Known>>();
  readonly #texts = new Map<string, Halves>();

  /** 64 bits of the whole tree, as `view` has it. */
  of(inodes: InodeTable, view: View = everything): bigint {
    const { high, low } = this.#of(inodes, inodes.get(rootInode), view);
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  }

  #of(inodes: InodeTable, inode: Inode | undefined, view: View): Halves {
    if (inode === undefined) return missing;
    if (inode.kind === 'file') return this.#ofFile(inode.bytes, view);
    if (inode.kind === 'link') return joined(ofLink, this.#ofText(inode.target));
    return this.#ofDirectory(inodes, this.#knownOf(inode, view));
  }

  #ofDirectory(inodes: InodeTable, known: Known): Halves {
    let { high, low } = known;
    for (const entry of known.entries) {
      const inode = inodes.get(entry.number);
      const isSame = inode === entry.inode;
      // Only what is below a directory can be another one while its inode is the same.
      if (isSame && entry.known === null) continue;
      if (!isSame) entry.known = inode?.kind === 'directory' ? this.#knownOf(inode, entry.view) : null;
      const below = entry.known === null ? this.#of(inodes, inode, entry.view) : this.#ofDirectory(inodes, entry.known);
      entry.inode = inode;
      if (below === entry.below) continue;
      const sum = joined(entry.name, below);
      high = (high - entry.sum.high + sum.high) | 0;
      low = (low - entry.sum.low + sum.low) | 0;
      entry.below = below;
      entry.sum = sum;
    }
    if (high !== known.high || low !== known.low) {
      known.high = high;
      known.low = low;
      known.digest = { high: mixed(high), low: mixed(low) };
    }
    return known.digest;
  }

  #knownOf(directory: Directory, view: View): Known {
    let directories = this.#known.get(view);
    if (directories === undefined) {
      directories = new WeakMap();
      this.#known.set(view, directories);
    }
    let known = directories.get(directory);
    if (known === undefined) {
      known = this.#begun(directory, view);
      directories.set(directory, known);
    }
    return known;
  }

  /** A directory of whose entries nothing is known yet: they count as missing. */
  #begun({ names }: Directory, view: View): Known {
    const entries: Entry[] = [];
    let { high, low } = ofDirectory;
    for (const [text, number] of names) {
      const below = view.names?.[text] ?? view.others ?? everything;
      if (below.isNothing) continue;
      const name = this.#ofText(text);
      const sum = joined(name, missing);
      high = (high + sum.high) | 0;
      low = (low + sum.low) | 0;
      entries.push({ name, number, view: below, inode: undefined, known: null, below: missing, sum });
    }
    return { entries, high, low, digest: { high: mixed(high), low: mixed(low) } };
  }

  #ofText(text: string): Halves {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const made = halvesOf(text);
    this.#texts.set(text, made);
    return made;
  }

  #ofFile(bytes: Buffer, { tells }: View): Halves {
    const digests = tells === undefined ? this.#contents : this.#digestsOf(tells);
    const known = digests.get(bytes);
    if (known !== undefined) return known;
    const made = halvesOf(tells === undefined ? bytes : tells(bytes));
    digests.set(bytes, made);
    return made;
  }

  #digestsOf(tells: Tells): WeakMap<Buffer, Halves> {
    const known = this.#told.get(tells) ?? new WeakMap<Buffer, Halves>();
    this.#told.set(tells, known);
    return known;
  }
}
