import { dirname } from 'node:path';
import type { Files } from './files.ts';

/** The whole of a regular file, or null when there is none. */
export function readFile(files: Files, path: string, bytesMax: number): Buffer | null {
  if (files.stat(path) === null) return null;
  const handle = files.openRead(path);
  try {
    const { size } = files.statHandle(handle);
    if (size > bytesMax) throw new FileTooLargeError(`${path} has ${size} bytes, ${bytesMax} are allowed`);
    return files.read(handle, 0, size);
  } finally {
    files.close(handle);
  }
}

export class FileTooLargeError extends Error {
  readonly code = 'file-too-large';
}

/** Makes a file and syncs its content, but not yet its name. */
export function writeNewFile(files: Files, path: string, bytes: Uint8Array, mode: number): void {
  const handle = files.create(path, mode);
  try {
    files.write(handle, bytes, 0);
    files.sync(handle);
  } finally {
    files.close(handle);
  }
}

/** Space, quota or inodes are used up. */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/**
 * For what is told to people and to the server, and decides nothing: a disk that somebody filled must not stand in the
 * way of what does (I11).
 * @returns false: there was no room, and what is on the disk is what was there before
 */
export function whereThereIsRoom(write: () => void): boolean {
  try {
    write();
    return true;
  } catch (error) {
    if (isOutOfSpace(error)) return false;
    throw error;
  }
}

/** Makes room for a file that will be put in place later, when there may be none. */
export function prepareFile(files: Files, path: string, bytes: number, mode: number): void {
  const temporary = `${path}.tmp`;
  files.removeTree(temporary);
  writeNewFile(files, temporary, Buffer.alloc(bytes), mode);
  files.syncDirectory(dirname(path));
}

/** {@link replaceJson} that takes no space where {@link prepareFile} made enough: what is left over is filled with blanks. */
export function replacePreparedJson(files: Files, path: string, value: unknown, mode: number): void {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  const temporary = `${path}.tmp`;
  const prepared = files.stat(temporary);
  if (prepared?.kind !== 'file' || prepared.size < bytes.length) {
    replaceFile(files, path, bytes, mode);
    return;
  }
  const handle = files.openWrite(temporary);
  try {
    files.write(handle, Buffer.concat([bytes, Buffer.alloc(prepared.size - bytes.length, ' ')]), 0);
    files.sync(handle);
  } finally {
    files.close(handle);
  }
  files.rename(temporary, path);
  files.syncDirectory(dirname(path));
}

/** Write, sync, rename, sync the directory: after a crash the file is the old one or the new one, whole. */
export function replaceFile(
  files: Files,
  path: string,
  bytes: Uint8Array,
  mode: number,
  owner?: { uid: number; gid: number },
): void {
  const temporary = `${path}.tmp`;
  files.unlink(temporary);
  writeNewFile(files, temporary, bytes, mode);
  if (owner !== undefined) files.setOwner(temporary, owner.uid, owner.gid);
  files.rename(temporary, path);
  files.syncDirectory(dirname(path));
}

export function replaceJson(files: Files, path: string, value: unknown, mode: number): void {
  replaceFile(files, path, Buffer.from(`${JSON.stringify(value)}\n`), mode);
}

/** The parsed JSON of a file; null when the file is missing. @throws SyntaxError when it is not JSON */
export function readJson(files: Files, path: string, bytesMax: number): unknown {
  const bytes = readFile(files, path, bytesMax);
  return bytes === null ? null : JSON.parse(bytes.toString('utf8'));
}
