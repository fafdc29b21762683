import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** True for the error of a file system call on a missing name. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/**
 * Lets `write` fill a temporary file and then renames it: a reader sees either the whole old file or the whole new one.
 * If several processes write one name, the last one wins.
 */
export async function writeWhole(
  path: string,
  mode: number,
  write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, 'wx', mode);
  try {
    try {
      // appendFile writes all of the bytes; write may stop halfway.
      await write((bytes) => file.appendFile(bytes));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(dirname(path));
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export function replaceFile(path: string, bytes: Uint8Array, mode = 0o644): Promise<void> {
  return writeWhole(path, mode, (append) => append(bytes));
}
