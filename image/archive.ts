import { Header } from 'tar';

/** POSIX ustar: a header and the content, each filled up to blocks of 512 bytes; two empty blocks end the archive. */
const blockBytes = 512;

/** The header of a regular file, the same for the same name and size whoever builds it, and whenever. */
export function archiveHeader(path: string, size: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  const header = new Header({ path, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), type: 'File' });
  if (header.encode(block)) throw new RangeError(`${path} of ${size} bytes does not fit a ustar header`);
  return block;
}

/** What follows a content of `size` bytes. */
export function archivePadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

export const archiveEnd = Buffer.alloc(2 * blockBytes);
