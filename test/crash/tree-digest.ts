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

const ofDirectory = halvesOf('directory');
const ofLink = halvesOf('link');
const missing: Halves = { high: 0, low: 0 };

/**
 * Digests of trees: two disks with the same tree have the same, whatever their inodes are called. The content of a file is
 * digested once, as SHA-256, because inodes share it from step to step; a directory is the sum of what its entries come to,
 * so that neither their order nor a path has to be written down for each of millions of disks.
 */
export class TreeDigests {
  readonly #contents = new WeakMap<Buffer, Halves>();
  readonly #told = new WeakMap<(bytes: Buffer) => string, WeakMap<Buffer, Halves>>();
  readonly #texts = new Map<string, Halves>();

  /** 64 bits of the whole tree, as `view` has it. */
  of(inodes: InodeTable, view: View = everything): bigint {
    const { high, low } = this.#of(inodes, rootInode, view);
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  }

  #of(inodes: InodeTable, number: number, view: View): Halves {
    const inode = inodes.get(number);
    if (inode === undefined) return missing;
    if (inode.kind === 'file') return this.#ofFile(inode.bytes, view);
    if (inode.kind === 'link') return this.#joined(ofLink, this.#ofText(inode.target));
    return this.#ofDirectory(inodes, inode, view);
  }

  #ofDirectory(inodes: InodeTable, { names }: Extract<Inode, { kind: 'directory' }>, view: View): Halves {
    let { high, low } = ofDirectory;
    const isPlain = view.names === undefined && view.others === undefined;
    for (const [name, child] of names) {
      const below = isPlain ? everything : (view.names?.[name] ?? view.others ?? everything);
      if (below.isNothing) continue;
      const entry = this.#joined(this.#ofText(name), this.#of(inodes, child, below));
      high = (high + entry.high) | 0;
      low = (low + entry.low) | 0;
    }
    return { high: mixed(high), low: mixed(low) };
  }

  #joined(left: Halves, right: Halves): Halves {
    return { high: mixed(left.high ^ mixed(right.high + 0x9e3779b9)), low: mixed(left.low ^ mixed(right.low + 1)) };
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

  #digestsOf(tells: (bytes: Buffer) => string): WeakMap<Buffer, Halves> {
    const known = this.#told.get(tells) ?? new WeakMap<Buffer, Halves>();
    this.#told.set(tells, known);
    return known;
  }
}
