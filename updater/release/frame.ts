import { constants, zstdDecompressSync } from 'node:zlib';
import { sha256 } from '../../protocol/digest.ts';
import type { Chunk } from '../../protocol/payload.ts';
import { isPlainFrame } from '../../protocol/plain-frame.ts';
import { ReleaseError } from './release-error.ts';

/** log2 of the memory that a frame may ask for: 8 MiB, twice the largest chunk. */
const windowLogMax = 23;

/** What is inside one zstd frame that somebody wrote plainly. */
interface FrameOrder {
  readonly frame: Buffer;
  /** More raw bytes than this are an error. */
  readonly sizeMax: number;
  readonly dictionary?: Buffer;
}

/** @throws RangeError or an error of zlib: the frame is not one, or holds more */
export function unpackPlainFrame({ frame, sizeMax, dictionary }: FrameOrder): Buffer {
  if (!isPlainFrame(frame)) throw new RangeError('it is not one zstd frame, or there is something behind it');
  return zstdDecompressSync(frame, {
    // One buffer that can not fill up: no second one, no copy.
    chunkSize: Math.max(sizeMax + 1, constants.Z_MIN_CHUNK),
    maxOutputLength: sizeMax,
    ...(dictionary === undefined ? {} : { dictionary }),
    params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  });
}

/**
 * The raw bytes of a chunk from its frame, never more than the chunk's size.
 * @param dictionary what the frame was made against; without one it stands for itself
 * @throws ReleaseError `bad-chunk`
 */
export function unpackFrame(frame: Buffer, chunk: Omit<Chunk, 'patches'>, dictionary?: Buffer): Buffer {
  const refuse = (why: string, cause?: unknown) =>
    new ReleaseError('bad-chunk', `chunk ${chunk.sha256.slice(0, 12)} ${why}`, { cause });
  if (frame.length !== chunk.stored) throw refuse('is not a frame of its length');
  let raw: Buffer;
  try {
    raw = unpackPlainFrame({ frame, sizeMax: chunk.size, ...(dictionary === undefined ? {} : { dictionary }) });
  } catch (cause) {
    throw refuse('can not be unpacked', cause);
  }
  if (raw.length !== chunk.size || sha256(raw) !== chunk.sha256) throw refuse('does not have its digest');
  return raw;
}

/**
 * Gives the memory of a buffer back at once, which the collector would do much later: a payload of any size then needs
 * the memory of one chunk. Nobody may use the buffer, or a part of it, afterwards.
 */
export function release(buffer: Buffer): void {
  const { buffer: memory, byteOffset } = buffer;
  // Small buffers share their memory, Node's pool, which is far longer than any of them; they are left to the collector.
  // What zlib fills has one byte to spare.
  const isOwn = byteOffset === 0 && memory.byteLength <= buffer.length + 1;
  if (isOwn && memory instanceof ArrayBuffer && !memory.detached) memory.transfer(0);
}
