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
