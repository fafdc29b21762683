import { constants, zstdDecompressSync } from 'node:zlib';
import { sha256 } from '../../protocol/digest.ts';
import type { Chunk } from '../../protocol/payload.ts';
import { isPlainFrame } from '../../protocol/plain-frame.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';

/** log2 of the memory that a frame may ask for: 8 MiB, twice the largest chunk. */
const windowLogMax = 23;

/** One plain zstd frame to unpack. */
interface FrameOrder {
  readonly frame: Buffer;
  /** More raw bytes than this are an error. */
  readonly sizeMax: number;
  readonly dictionary?: Buffer;
}

/** @throws RangeError or an error of zlib: the frame is invalid, or holds more */
export function unpackPlainFrame({ frame, sizeMax, dictionary }: FrameOrder): Buffer {
  if (!isPlainFrame(frame)) throw new RangeError(releaseTexts.notOneFrame);
  return zstdDecompressSync(frame, {
    // One buffer that cannot fill up: no second buffer, no copy.
    chunkSize: Math.max(sizeMax + 1, constants.Z_MIN_CHUNK),
    maxOutputLength: sizeMax,
    ...(dictionary === undefined ? {} : { dictionary }),
    params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  });
}

/**
 * The raw bytes of a chunk from its frame, never more than the chunk's size.
 * @param dictionary what the frame was made against; absent: it needs none
 * @throws ReleaseError `bad-chunk`
 */
export function unpackFrame(frame: Buffer, chunk: Omit<Chunk, 'patches'>, dictionary?: Buffer): Buffer {
  const refuse = (why: string, cause?: unknown) =>
    new ReleaseError('bad-chunk', releaseTexts.badChunk(chunk.sha256.slice(0, 12), why), { cause });
  if (frame.length !== chunk.stored) throw refuse(releaseTexts.notItsLength);
  let raw: Buffer;
  try {
    raw = unpackPlainFrame({ frame, sizeMax: chunk.size, ...(dictionary === undefined ? {} : { dictionary }) });
  } catch (cause) {
    throw refuse(releaseTexts.notUnpacked, cause);
  }
  if (raw.length !== chunk.size || sha256(raw) !== chunk.sha256) throw refuse(releaseTexts.notItsDigest);
  return raw;
}

/**
 * Frees the memory of a buffer at once, which the collector would do much later: a payload of any size then needs the
 * memory of one chunk only. Nothing may use the buffer, or a part of it, afterwards.
 */
export function release(buffer: Buffer): void {
  const { buffer: memory, byteOffset } = buffer;
  // Small buffers share their memory, Node's pool, which is far longer than any of them; they are left to the
  // collector. A buffer that zlib filled has one byte to spare.
  const isOwn = byteOffset === 0 && memory.byteLength <= buffer.length + 1;
  if (isOwn && memory instanceof ArrayBuffer && !memory.detached) memory.transfer(0);
}
