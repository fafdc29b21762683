import { readFile } from 'node:fs/promises';
import { type Digest, sha256 } from '../protocol/digest.ts';
import type { Chunk, FileEntry, ImageEntry } from '../protocol/payload.ts';
import { cutPoints } from './chunker.ts';
import type { FrameStore } from './frames.ts';
import type { SourceFile } from './tree.ts';

/** Frames in work at once: as many as Node has threads for compressing, twice, so that none waits for the disk. */
const framesInFlightMax = 8;

/** The chunks of one bundle: each distinct one once, in the order of first use, laid end to end. */
export class ChunkList {
  readonly #indexes = new Map<Digest, number>();
  readonly #chunks: Chunk[] = [];
  readonly #frames: FrameStore;
  #offset = 0;

  constructor(frames: FrameStore) {
    this.#frames = frames;
  }

  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  /** Bytes of the `chunks` entry. */
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
    const missing = new Map(pieces.filter(({ digest }) => !this.#indexes.has(digest)).map((p) => [p.digest, p.raw]));
    const fresh = [...missing].map(([digest, raw]) => ({ digest, raw }));
    for (let at = 0; at < fresh.length; at += framesInFlightMax) {
      const batch = fresh.slice(at, at + framesInFlightMax);
      const sizes = await Promise.all(batch.map(({ digest, raw }) => this.#frames.add(digest, raw)));
      batch.forEach(({ digest, raw }, i) => {
        this.#append(digest, raw.length, sizes[i] ?? 0);
      });
    }
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

function split(bytes: Uint8Array): { digest: Digest; raw: Uint8Array }[] {
  let start = 0;
  return cutPoints(bytes).map((end) => {
    const raw = bytes.subarray(start, end);
    start = end;
    return { digest: sha256(raw), raw };
  });
}
