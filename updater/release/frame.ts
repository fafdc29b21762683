import { constants, zstdDecompressSync } from 'node:zlib';
import { sha256 } from '../../protocol/digest.ts';
import type { Chunk } from '../../protocol/payload.ts';
import { ReleaseError } from './release-error.ts';

const zstdMagic = 0xfd2fb528;
/** Bits 3 and 4 of a frame header's descriptor (RFC 8878, 3.1.1.1.1): unused and reserved, so a writer leaves them 0. */
const idleBits = 0x18;
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
  if (frame.length < 8 || frame.readUInt32LE(0) !== zstdMagic) throw new RangeError('it is not a zstd frame');
  if ((frame.readUInt8(4) & idleBits) !== 0) throw new RangeError('it has a frame header that nobody writes');
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
 * @throws ReleaseError `bad-chunk`
 */
export function unpackFrame(frame: Buffer, chunk: Chunk): Buffer {
  const refuse = (why: string, cause?: unknown) =>
    new ReleaseError('bad-chunk', `chunk ${chunk.sha256.slice(0, 12)} ${why}`, { cause });
  if (frame.length !== chunk.stored) throw refuse('is not a frame of its length');
  let raw: Buffer;
  try {
    raw = unpackPlainFrame({ frame, sizeMax: chunk.size });
  } catch (cause) {
    throw refuse('can not be unpacked', cause);
  }
  if (raw.length !== chunk.size || sha256(raw) !== chunk.sha256) throw refuse('does not have its digest');
  return raw;
}
