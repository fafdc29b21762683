import type { Files, Handle } from '../effects/files.ts';

/** What a file system gives out at a time; holes are not smaller. */
const pageBytes = 4_096;
const emptyPage = Buffer.alloc(pageBytes);

function isEmpty(bytes: Buffer, from: number): boolean {
  const page = bytes.subarray(from, from + pageBytes);
  return page.equals(emptyPage.subarray(0, page.length));
}

/**
 * Writes what is not zero: where a file has holes, its copy has them too. A state that only looks large must not need more
 * room than it has itself.
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

/** The end of a copy, where the original ends in a hole. */
export function writeEnd(files: Files, target: Handle, size: number): void {
  if (size > 0 && files.statHandle(target).size < size) files.write(target, Buffer.alloc(1), size - 1);
}

/** What a file system needs beside the pieces themselves: their end, and where each of them lies. */
const bookkeeping = { bytes: 16 * pageBytes, ratio: 1 / 64 } as const;

/** Bytes that a copy of this file needs. */
export function bytesOfCopy({ size, occupies = size }: { readonly size: number; readonly occupies?: number }): number {
  return Math.min(size, Math.ceil(occupies * (1 + bookkeeping.ratio)) + bookkeeping.bytes);
}
