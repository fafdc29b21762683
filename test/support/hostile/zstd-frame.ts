const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** A block may be this long (RFC 8878, 3.1.1.2.4). */
const blockBytesMax = 128 * 1024;

/** A block that repeats one byte: 4 bytes of frame for 128 KiB of zeros. */
function repeatedBlock(length: number, isLast: boolean): Buffer {
  const block = Buffer.alloc(4);
  block.writeUIntLE((length << 3) | (1 << 1) | (isLast ? 1 : 0), 0, 3);
  return block;
}

/** A frame that becomes `rawBytes` zeros and says nothing of that. Its window is 8 MiB, so nobody minds that. */
export function bomb(rawBytes: number): Buffer {
  const blocks = Math.ceil(rawBytes / blockBytesMax);
  const parts = Array.from({ length: blocks }, (_, index) => repeatedBlock(blockBytesMax, index === blocks - 1));
  // No size, no checksum; a window of 2^(10 + 13) bytes.
  return Buffer.concat([magic, Buffer.from([0x00, 13 << 3]), ...parts]);
}

/** A frame of a few bytes that asks for a window of 2^(10 + exponent) bytes. */
export function wideWindow(exponent: number, raw: Buffer): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE((raw.length << 3) | 1, 0, 3);
  return Buffer.concat([magic, Buffer.from([0x00, exponent << 3]), header, raw]);
}

/** A frame that says that it becomes `rawBytes`, in one piece of memory of that size. */
export function boastingFrame(rawBytes: bigint, raw: Buffer): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(rawBytes);
  const header = Buffer.alloc(3);
  header.writeUIntLE((raw.length << 3) | 1, 0, 3);
  return Buffer.concat([magic, Buffer.from([0xe0]), size, header, raw]);
}

/** Unpackers step over it in silence (RFC 8878, 3.1.2). */
export function skippableFrame(content: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50, 0);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}
