import { dirname } from 'node:path';
import { parseWritten } from '../../protocol/written-json.ts';
import { effectTexts } from '../words/texts.ts';
import type { Files } from './files.ts';

/** The ending of files that were set aside and not yet reported (kept-file.ts). */
export const asideEnd = '.damaged';

/** The content of a regular file, or null when there is none. */
export function readFile(files: Files, path: string, bytesMax: number): Buffer | null {
  if (files.stat(path) === null) return null;
  const handle = files.openRead(path);
  try {
    const { size } = files.statHandle(handle);
    if (size > bytesMax) throw new FileTooLargeError(effectTexts.tooLarge(path, size, bytesMax));
    return files.read(handle, 0, size);
  } finally {
    files.close(handle);
  }
}

export class FileTooLargeError extends Error {
  readonly code = 'file-too-large';
}

/** Creates a file and syncs its content, but not yet its name. */
export function writeNewFile(
  files: Files,
  path: string,
  bytes: Uint8Array,
  mode: number,
  owner?: { uid: number; gid: number },
): void {
  const handle = files.create(path, mode);
  try {
    // Set on the open file: in a stranger's directory, the name may already mean something else.
    if (owner !== undefined) files.setOwnerOf(handle, owner.uid, owner.gid);
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
 * For writes that only inform people and the server and decide nothing: a filled disk must not block the work that
 * matters (I11).
 * @returns false: there was no room, and the disk holds what was there before
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

/** Makes room for a file that is put in place later, when there may be none. */
export function prepareFile(files: Files, path: string, bytes: number, mode: number): void {
  const temporary = `${path}.tmp`;
  files.removeTree(temporary);
  writeNewFile(files, temporary, Buffer.alloc(bytes), mode);
  files.syncDirectory(dirname(path));
}

/** {@link replaceJson} that takes no space if {@link prepareFile} made enough; the rest is filled with blanks. */
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
  intoPlace(files, temporary, path);
  files.syncDirectory(dirname(path));
}

/** Write, sync, rename, sync the directory: after a crash, the file is the complete old one or the complete new one. */
export function replaceFile(
  files: Files,
  path: string,
  bytes: Uint8Array,
  mode: number,
  owner?: { uid: number; gid: number },
): void {
  const temporary = `${path}.tmp`;
  clearName(files, temporary);
  writeNewFile(files, temporary, bytes, mode, owner);
  intoPlace(files, temporary, path);
  files.syncDirectory(dirname(path));
}

/** Removes a half-written file, even if somebody made a directory of it. */
function clearName(files: Files, path: string): void {
  try {
    files.unlink(path);
  } catch (error) {
    if (!isDirectoryInTheWay(error)) throw error;
    files.removeTree(path);
  }
}

/** A directory in a file's place is moved aside: nothing may keep a file from being rewritten. */
function intoPlace(files: Files, temporary: string, path: string): void {
  try {
    files.rename(temporary, path);
  } catch (error) {
    if (!isDirectoryInTheWay(error)) throw error;
    files.removeTree(`${path}${asideEnd}`);
    files.rename(path, `${path}${asideEnd}`);
    files.rename(temporary, path);
  }
}

const directoryCodes: ReadonlySet<unknown> = new Set(['EISDIR', 'EPERM', 'ENOTEMPTY', 'EEXIST']);

function isDirectoryInTheWay(error: unknown): boolean {
  return error instanceof Error && 'code' in error && directoryCodes.has(error.code);
}

/** Sets the mode of what the name itself means: it follows no link. */
export function setMode(files: Files, path: string, mode: number): void {
  const handle = files.openName(path);
  try {
    files.setModeOf(handle, mode);
  } finally {
    files.close(handle);
  }
}

export function replaceJson(files: Files, path: string, value: unknown, mode: number): void {
  replaceFile(files, path, Buffer.from(`${JSON.stringify(value)}\n`), mode);
}

/** The parsed JSON of a file; null when the file is missing. @throws SyntaxError when it is not JSON */
export function readJson(files: Files, path: string, bytesMax: number): unknown {
  const bytes = readFile(files, path, bytesMax);
  return bytes === null ? null : parseWritten(bytes.toString('utf8'));
}
