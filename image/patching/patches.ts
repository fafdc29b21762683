import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { Digest } from '../../protocol/digest.ts';
import { type Base, manifestLimits, type Patch } from '../../protocol/payload.ts';
import { BaseIndex, type Extent } from './base-index.ts';
import type { EarlierRelease } from './earlier-release.ts';

const compress = promisify(zstdCompress);

/** Level 12 takes three seconds for a Node; 16 takes ten times as long and saves a twentieth. */
const patchLevel = 12;
/** 4 MiB, enough for a dictionary and the chunk behind it; an appliance unpacks at most 8. */
const windowLog = 22;
/** A patch must save this part of its chunk's frame, or it is not worth its line in the manifest. */
const worthRatio = 0.97;

/** A shorter extent (the edge of a neighbour's content) is not worth its line in the manifest either. */
const extentBytesMin = 1024;

/** One chunk of new content that may need patches. */
export interface Piece {
  readonly digest: Digest;
  readonly content: Buffer;
  readonly from: number;
  readonly to: number;
  /** Size of its own frame. */
  readonly stored: number;
}

interface Made {
  readonly dictionary: Patch['dictionary'];
  readonly frame: Buffer;
}

/** The patches of one bundle: for each chunk at most one a base, laid end to end in the order of the chunks. */
export class PatchList {
  readonly bases: Base[] = [];
  readonly #releases: readonly { readonly release: EarlierRelease; readonly index: BaseIndex }[];
  readonly #baseIndexes = new Map<Digest, number>();
  readonly #made = new Map<Digest, Made[]>();

  constructor(releases: readonly EarlierRelease[]) {
    this.#releases = releases
      .slice(0, manifestLimits.patchesMax)
      .map((release) => ({ release, index: new BaseIndex(release.bytes) }));
  }

  /** Makes the patches of one content's chunks, in order, and keeps those that are worth it. */
  async add(pieces: readonly Piece[]): Promise<void> {
    for (const { release, index } of this.#releases) {
      let distance = 0;
      for (const piece of pieces) {
        if (release.chunks.has(piece.digest) || piece.to === piece.from) continue;
        const found = index.extentsFor(piece.content, piece.from, piece.to, distance);
        distance = found.distance;
        await this.#keep(piece, release, index.bytes, found.extents);
      }
    }
  }

  async #keep(piece: Piece, release: EarlierRelease, base: Buffer, extents: readonly Extent[]): Promise<void> {
    const pieces = extents
      .flatMap((extent) => this.#within(release, extent))
      .filter(({ length }) => length >= extentBytesMin)
      .slice(0, manifestLimits.extentsMax);
    if (pieces.length === 0) return;
    const dictionary = Buffer.concat(pieces.map(({ at, length }) => base.subarray(at, at + length)));
    const raw = piece.content.subarray(piece.from, piece.to);
    const params = { [constants.ZSTD_c_compressionLevel]: patchLevel, [constants.ZSTD_c_windowLog]: windowLog };
    const frame = await compress(raw, { dictionary, params });
    if (frame.length > piece.stored * worthRatio) return;
    const named = pieces.map(({ part, position, length }) => ({ base: this.#baseOf(release, part), position, length }));
    this.#made.set(piece.digest, [...(this.#made.get(piece.digest) ?? []), { dictionary: named, frame }]);
  }

  /** Splits an extent that covers several contents into one for each. */
  #within({ parts }: EarlierRelease, { position, length }: Extent) {
    const end = position + length;
    return parts.flatMap((part, index) => {
      const from = Math.max(position, part.position);
      const to = Math.min(end, part.position + part.size);
      return to > from ? [{ part: index, at: from, position: from - part.position, length: to - from }] : [];
    });
  }

  #baseOf({ parts }: EarlierRelease, index: number): number {
    const part = parts[index];
    if (part === undefined) throw new RangeError('a part that the release does not have');
    const known = this.#baseIndexes.get(part.sha256);
    if (known !== undefined) return known;
    this.bases.push({ sha256: part.sha256, size: part.size });
    this.#baseIndexes.set(part.sha256, this.bases.length - 1);
    return this.bases.length - 1;
  }

  /** The patches of these chunks in the form of the manifest, and their frames in that order. */
  listed(digests: readonly Digest[]): { patches: ReadonlyMap<Digest, Patch[]>; frames: Buffer[] } {
    const patches = new Map<Digest, Patch[]>();
    const frames: Buffer[] = [];
    let offset = 0;
    for (const digest of digests) {
      const made = this.#made.get(digest) ?? [];
      if (made.length === 0) continue;
      const entries = made.map(({ dictionary, frame }) => {
        const patch: Patch = { offset, stored: frame.length, dictionary };
        offset += frame.length;
        frames.push(frame);
        return patch;
      });
      patches.set(digest, entries);
    }
    return { patches, frames };
  }
}
