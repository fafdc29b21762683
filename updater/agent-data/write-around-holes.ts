import type { Files, Handle } from '../effects/files.ts';

/** The unit in which a file system allocates space; holes are not smaller. */
const pageBytes = 4_096;
const emptyPage = Buffer.alloc(pageBytes);

function isEmpty(bytes: Buffer, from: number): boolean {
  const page = bytes.subarray(from, from + pageBytes);
  return page.equals(emptyPage.subarray(0, page.length));
}

/**
 * Writes everything but zeros: if a file has holes, its copy has them, too. A state that only looks large must not need
 * more room than it occupies.
 */
export function writeAroundHoles(files: Files, target: Handle, bytes: Buffer, position: number): void {
  for (let from = 0; from < bytes.length; ) {
    if (isEmpty(bytes, from)) {
      from += pageBytes;
      continue;
    }
    let end = from + pageBytes;
    while (end < bytes.length && !isEmpty(bytes, end)) end += pageBytes;
    files.write(target, bytes.subarray(from, end), position + from);
    from = end;
  }
}

/** Writes the end of a copy whose original ends in a hole. */
export function writeEnd(files: Files, target: Handle, size: number): void {
  if (size > 0 && files.statHandle(target).size < size) files.write(target, Buffer.alloc(1), size - 1);
}

/** What a file system needs besides the pieces themselves: their ends and their positions. */
const bookkeeping = { bytes: 16 * pageBytes, ratio: 1 / 64 } as const;

/** Bytes that a copy of this file needs. */
export function bytesOfCopy({ size, occupies = size }: { readonly size: number; readonly occupies?: number }): number {
  return Math.min(size, Math.ceil(occupies * (1 + bookkeeping.ratio)) + bookkeeping.bytes);
}
