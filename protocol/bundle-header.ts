/**
 * The header of one entry of a bundle: POSIX ustar, a regular file with mode 0644, owner 0 and time 0. Only name and
 * size vary, so there is exactly one header for them, and any other bytes are not a header: links, devices, set-uid
 * bits, extended names and other number notations cannot occur.
 */
export const blockBytes = 512;

export interface BundleHeader {
  readonly name: string;
  readonly size: number;
}

/** A number as the builder writes it: octal digits, a blank if there is room for one, and a zero byte. */
function octal(value: number, fieldBytes: number): string {
  const digits = value.toString(8);
  return digits.length === fieldBytes - 1 ? `${digits}\0` : `${digits.padStart(fieldBytes - 2, '0')} \0`;
}

function headerOf({ name, size }: BundleHeader): Buffer {
  const block = Buffer.alloc(blockBytes);
  const put = (text: string, at: number) => block.write(text, at, 'latin1');
  put(name, 0);
  put(octal(0o644, 8), 100);
  put(octal(0, 8), 108);
  put(octal(0, 8), 116);
  put(octal(size, 12), 124);
  put(octal(0, 12), 136);
  // The checksum is calculated with blanks in its own place.
  put(' '.repeat(8), 148);
  put('0', 156);
  put('ustar\0', 257);
  put('00', 263);
  put(octal(0, 8), 329);
  put(octal(0, 8), 337);
  put(
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      8,
    ),
    148,
  );
  return block;
}

/** The name and size in a header block; null when it is not one, down to the last bit. */
export function readBundleHeader(block: Buffer): BundleHeader | null {
  if (block.length !== blockBytes) return null;
  const name = /^[ -~]{1,99}(?=\0)/.exec(block.toString('latin1', 0, 100))?.[0];
  const digits = /^[0-7]{10,11}/.exec(block.toString('latin1', 124, 136))?.[0];
  if (name === undefined || digits === undefined) return null;
  const header = { name, size: Number.parseInt(digits, 8) };
  return headerOf(header).equals(block) ? header : null;
}
