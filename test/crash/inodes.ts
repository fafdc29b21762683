export type Inode =
  | { readonly kind: 'file'; readonly bytes: Buffer; readonly mode: number }
  | { readonly kind: 'directory'; readonly names: ReadonlyMap<string, number>; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string };

export const rootInode = 0;
export const emptyDirectory: Inode = { kind: 'directory', names: new Map(), mode: 0o755 };

/** Entries that are copied for a change: 16. */
const bucketBits = 4;
const inBucket = (1 << bucketBits) - 1;
type Bucket = readonly (Inode | undefined)[];

/** A table of inodes that never changes: a changed one shares all but 16 entries, so that each step can keep its own. */
export class InodeTable {
  readonly #buckets: readonly (Bucket | undefined)[];

  private constructor(buckets: readonly (Bucket | undefined)[]) {
    this.#buckets = buckets;
  }

  /** A disk with an empty root directory. */
  static empty(): InodeTable {
    return new InodeTable([]).with(rootInode, emptyDirectory);
  }

  static of(entries: Iterable<readonly [number, Inode]>): InodeTable {
    let table = InodeTable.empty();
    for (const [number, inode] of entries) table = table.with(number, inode);
    return table;
  }

  get(number: number): Inode | undefined {
    return this.#buckets[number >> bucketBits]?.[number & inBucket];
  }

  with(number: number, inode: Inode): InodeTable {
    const buckets = this.#buckets.slice();
    const bucket = (buckets[number >> bucketBits] ?? []).slice();
    bucket[number & inBucket] = inode;
    buckets[number >> bucketBits] = bucket;
    return new InodeTable(buckets);
  }

  /** All inodes, for what has to travel between threads. */
  entries(): [number, Inode][] {
    return this.#buckets.flatMap((bucket, index) =>
      (bucket ?? []).flatMap((inode, place): [number, Inode][] =>
        inode === undefined ? [] : [[(index << bucketBits) + place, inode]],
      ),
    );
  }
}
