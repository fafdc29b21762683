const zstdMagic = 0xfd2fb528;
/** Bits 3 and 4 of a frame header's descriptor: unused and reserved, so a writer leaves them 0. */
const idleBits = 0x18;
const blockHeaderBytes = 3;

/**
 * True for exactly one zstd frame (RFC 8878, 3.1.1): no skippable frame before or after it, no second frame, and no
 * stray byte. Unpackers skip all of that silently, so that more could travel than was asked for. The unpacker itself
 * judges the content of the blocks and their unpacked size.
 */
export function isPlainFrame(frame: Buffer): boolean {
  if (frame.length < 6 || frame.readUInt32LE(0) !== zstdMagic) return false;
  const descriptor = frame.readUInt8(4);
  if ((descriptor & idleBits) !== 0) return false;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const windowBytes = isSingleSegment ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  const first = 5 + windowBytes + dictionaryBytes + sizeBytes;
  return endOfBlocks(frame, first) === frame.length - checksumBytes;
}

/**
 * Where the blocks that begin at `position` end (RFC 8878, 3.1.1.2); null when they do not end, or one is of an unknown
 * kind.
 */
function endOfBlocks(frame: Buffer, position: number): number | null {
  let at = position;
  while (at + blockHeaderBytes <= frame.length) {
    const header = frame.readUIntLE(at, blockHeaderBytes);
    const kind = (header >> 1) & 3;
    if (kind === 3) return null;
    // A block of one repeated byte holds just that byte; its size is the number of repetitions.
    at += blockHeaderBytes + (kind === 1 ? 1 : header >> 3);
    if ((header & 1) === 1) return at;
  }
  return null;
}
