import { readFile } from 'node:fs/promises';
import { type Digest, sha256 } from '../protocol/digest.ts';
import type { Chunk, FileEntry, ImageEntry } from '../protocol/payload.ts';
import { cutPoints } from './chunker.ts';
import type { FrameStore } from './frames.ts';
import type { PatchList } from './patching/patches.ts';
import type { SourceFile } from './tree.ts';

/** Frames compressed at the same time: twice as many as Node has threads for it, so that none waits for the disk. */
const framesInFlightMax = 8;

/** The chunks of one bundle: each distinct chunk once, in the order of first use, laid end to end. */
export class ChunkList {
  readonly #indexes = new Map<Digest, number>();
  readonly #chunks: Chunk[] = [];
  readonly #frames: FrameStore;
  readonly #patches: PatchList;
  #offset = 0;

  constructor(frames: FrameStore, patches: PatchList) {
    this.#frames = frames;
    this.#patches = patches;
  }

  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  /** Size of the `chunks` entry. */
  get storedBytes(): number {
    return this.#offset;
  }

  async addFile({ path, executable, source }: SourceFile): Promise<FileEntry> {
    return { path, executable, ...(await this.addContent(source)) };
  }

  /** Cuts one file into chunks and lists those that are new. */
  async addContent(source: string): Promise<ImageEntry> {
    const bytes = await readFile(source);
    const pieces = split(bytes);
    const missing = new Map(pieces.filter(({ digest }) => !this.#indexes.has(digest)).map((p) => [p.digest, p]));
    const fresh = [...missing.values()];
    for (let at = 0; at < fresh.length; at += framesInFlightMax) {
      const batch = fresh.slice(at, at + framesInFlightMax);
      const sizes = await Promise.all(batch.map(({ digest, raw }) => this.#frames.add(digest, raw)));
      batch.forEach(({ digest, raw }, i) => {
        this.#append(digest, raw.length, sizes[i] ?? 0);
      });
    }
    const known = (digest: Digest) => this.#chunks[this.#indexes.get(digest) ?? -1]?.stored ?? 0;
    await this.#patches.add(fresh.map((piece) => ({ ...piece, content: bytes, stored: known(piece.digest) })));
    return {
      size: bytes.length,
      sha256: sha256(bytes),
      chunks: pieces.map(({ digest }) => this.#indexes.get(digest) ?? -1),
    };
  }

  #append(digest: Digest, size: number, stored: number): void {
    this.#indexes.set(digest, this.#chunks.length);
    this.#chunks.push({ sha256: digest, size, offset: this.#offset, stored });
    this.#offset += stored;
  }
}

interface Cut {
  readonly digest: Digest;
  readonly raw: Uint8Array;
  readonly from: number;
  readonly to: number;
}

function split(bytes: Uint8Array): Cut[] {
  let from = 0;
  return cutPoints(bytes).map((to) => {
    const raw = bytes.subarray(from, to);
    const cut = { digest: sha256(raw), raw, from, to };
    from = to;
    return cut;
  });
}
