import { Header } from 'tar';

/** POSIX ustar: a header and the content, each padded to blocks of 512 bytes; two empty blocks end the archive. */
const blockBytes = 512;

/** The header of a regular file. The same name and size always give the same header. */
export function archiveHeader(path: string, size: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  const header = new Header({ path, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), type: 'File' });
  if (header.encode(block)) throw new RangeError(`${path} of ${size} bytes does not fit a ustar header`);
  return block;
}

/** The padding behind a content of `size` bytes. */
export function archivePadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

export const archiveEnd = Buffer.alloc(2 * blockBytes);
