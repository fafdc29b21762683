import type { Files } from '../effects/files.ts';

const readBytes = 64 * 1024;
/** Some 220,000 connections; an appliance has dozens, but any user on it can make tens of thousands. */
export const tableBytesMax = 32 * 1024 * 1024;

/**
 * How a reading ended: at the end of the table or when no more was wanted (`whole`), before that (`cut`), or there is
 * no such table.
 */
export type Reading = 'whole' | 'cut' | 'none';

/**
 * Reads a kernel table, which reports no size, line by line and keeps none of it. A table that is too long or
 * unreadable counts as cut: nothing follows from what was not seen in it.
 * @param onLine true: no more is wanted
 */
export function readTable(files: Files, path: string, onLine: (line: string) => boolean): Reading {
  let handle: number | null = null;
  try {
    if (files.stat(path) === null) return 'none';
    handle = files.openRead(path);
    return readLines(files, handle, onLine);
  } catch (error) {
    // Descriptors or memory are used up, or the kernel refuses: the page continues without the table.
    if (error instanceof Error && 'code' in error) return 'cut';
    throw error;
  } finally {
    if (handle !== null) files.close(handle);
  }
}

function readLines(files: Files, handle: number, onLine: (line: string) => boolean): Reading {
  let rest = '';
  for (let size = 0; size < tableBytesMax; ) {
    const part = files.read(handle, size, readBytes);
    if (part.length === 0) {
      if (rest !== '') onLine(rest);
      return 'whole';
    }
    size += part.length;
    const text = rest + part.toString('latin1');
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      if (onLine(text.slice(start, end))) return 'whole';
      start = end + 1;
    }
    rest = text.slice(start);
  }
  return 'cut';
}
