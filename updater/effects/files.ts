import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { effectTexts } from '../words/texts.ts';
import {
  openDirectory,
  openName,
  openSocket,
  pathOf,
  removeTree,
  setModeOf,
  setOwnerOf,
  sweep,
} from './by-descriptor.ts';
import { allocate } from './space.ts';

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly mtimeMs: number;
  /** Bytes that it occupies on the disk: less than its size if it has holes. Absent: unknown. */
  readonly occupies?: number;
  /** Its number on its file system. Absent: unknown. */
  readonly inode?: number;
}

/** An open file; a number on the real disk. */
export type Handle = number;

/** A socket as it was found, whatever happens to its name. */
export interface HeldSocket {
  /** Where it can be connected to, until it is closed. */
  readonly path: string;
  close(): void;
}

/**
 * All file operations of updater and launch; the only file of `updater/` that imports node:fs. They are small and
 * synchronous, so that a test can record them and fail, lose, tear or reorder any one step. Nothing here is durable
 * until `sync` (content) and `syncDirectory` (names) have returned. Errors are those of the system, with their `code`
 * (`ENOENT`, `ENOSPC`, `EROFS`, …).
 */
export interface Files {
  /** null when there is nothing. Never follows a link. */
  stat(path: string): FileFacts | null;
  /** Names in a directory, sorted; empty when there is none. */
  list(path: string): string[];
  /** The first `namesMax` names that the directory returns, sorted: for a directory that a stranger may have filled. */
  listAtMost(path: string, namesMax: number): string[];
  /** Opens a directory itself; a link at its name is refused, wherever it leads. */
  openDirectory(path: string): Handle;
  /** Opens whatever a name means now, even a link, without any effect on it: for its facts, owner and mode. */
  openName(path: string): Handle;
  /** A path to the open object, whatever happens to its name; below an open directory, its names. */
  pathOf(handle: Handle): string;
  /**
   * A socket by its name, which may be a stranger's; null: there is none. `known`: its name for a disk without sockets.
   */
  openSocket(path: string, known: string): HeldSocket | null;
  /** Opens a regular file for reading, without following a link and without blocking. */
  openRead(path: string): Handle;
  /** Facts of the open object, which no rename can change. */
  statHandle(handle: Handle): FileFacts;
  /** Reads up to `length` bytes at `position`; fewer only at the end of the file. */
  read(handle: Handle, position: number, length: number): Buffer;
  /** The same into the caller's buffer, as far as the file goes. @returns the bytes read */
  readInto(handle: Handle, buffer: Buffer, position: number): number;
  /** Creates a new file; fails with EEXIST when anything has that name. */
  create(path: string, mode: number): Handle;
  /** Opens an existing regular file for writing in place. */
  openWrite(path: string): Handle;
  /**
   * Opens the device of a slot: a block device, or a file in its place, through whatever links lead there. For writing,
   * a block device is opened exclusively, so that a mounted one is refused (EBUSY).
   */
  openDevice(path: string, access: 'read' | 'write'): Handle;
  /** Writes all of `bytes` at `position`. */
  write(handle: Handle, bytes: Uint8Array, position: number): void;
  sync(handle: Handle): void;
  close(handle: Handle): void;
  syncDirectory(path: string): void;
  rename(from: string, to: string): void;
  /** Removes one name; nothing happens when it is not there. */
  unlink(path: string): void;
  /**
   * Removes a tree, whatever is in it and even while other processes change it; nothing happens when it is not there.
   */
  removeTree(path: string): void;
  /**
   * Removes what an open directory holds and need not keep, and looks at no more than `lookedAtMax` names.
   * @returns how many were removed
   */
  sweep(directory: Handle, lookedAtMax: number, isKept: (name: string, path: string) => boolean): number;
  /** Creates one directory; nothing happens when it already exists. */
  makeDirectory(path: string, mode: number): void;
  link(target: string, path: string): void;
  readLink(path: string): string;
  /** Sets the mode of the open object, whatever its name means by now. */
  setModeOf(handle: Handle, mode: number): void;
  setOwnerOf(handle: Handle, uid: number, gid: number): void;
  setOwner(path: string, uid: number, gid: number): void;
  /** Sets the modification time to now. */
  touch(path: string): void;
  /**
   * Creates a file with this many bytes of the disk for itself, whatever else is written. `EOPNOTSUPP` if impossible.
   */
  reserve(path: string, bytes: number): void;
  /** Bytes that an ordinary user could still write on the file system of `path`. */
  freeBytes(path: string): number;
  /** Files that could still be created there; null if the file system has no limit for them. */
  freeInodes(path: string): number | null;
}

export class NotARegularFileError extends Error {
  readonly code = 'not-a-regular-file';
}

type Stats = ReturnType<typeof fstatSync>;

function factsOf(stats: Stats): FileFacts {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'other';
  return {
    kind,
    size: Number(stats.size),
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    links: Number(stats.nlink),
    mtimeMs: Number(stats.mtimeMs),
    inode: Number(stats.ino),
    occupies: Number(stats.blocks) * 512, // stat(2): in units of 512 bytes on every file system
  };
}

function openRegular(path: string, flags: number): Handle {
  // O_NONBLOCK: opening a FIFO in a file's place must not wait for a writer.
  const handle = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if (!fstatSync(handle).isFile()) {
    closeSync(handle);
    throw new NotARegularFileError(effectTexts.notRegular(path));
  }
  return handle;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

function unlessMissing<T>(missing: T, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    if (isMissing(error)) return missing;
    throw error;
  }
}

function isDirectory(path: string): boolean {
  return unlessMissing(false, () => lstatSync(path).isDirectory());
}

function fill(handle: Handle, buffer: Buffer, position: number): number {
  let filled = 0;
  while (filled < buffer.length) {
    const count = readSync(handle, buffer, filled, buffer.length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

function readFully(handle: Handle, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  return buffer.subarray(0, fill(handle, buffer, position));
}

function openDevice(path: string, access: 'read' | 'write'): Handle {
  const flags = access === 'read' ? constants.O_RDONLY : constants.O_RDWR | constants.O_EXCL;
  const handle = openSync(path, flags | constants.O_NONBLOCK);
  const facts = fstatSync(handle);
  if (facts.isBlockDevice() || facts.isFile()) return handle;
  closeSync(handle);
  throw new NotARegularFileError(effectTexts.neitherDeviceNorFile(path));
}

function writeFully(handle: Handle, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length)
    written += writeSync(handle, bytes, written, bytes.length - written, position + written);
}

function firstNames(path: string, namesMax: number): string[] {
  const directory = opendirSync(path);
  try {
    const names: string[] = [];
    for (let entry = directory.readSync(); entry !== null && names.length < namesMax; entry = directory.readSync()) {
      names.push(entry.name);
    }
    return names.sort((a, b) => (a < b ? -1 : 1));
  } finally {
    directory.closeSync();
  }
}

export const realFiles: Files = {
  stat: (path) => unlessMissing(null, () => factsOf(lstatSync(path))),
  list: (path) => unlessMissing([], () => readdirSync(path).sort()),
  listAtMost: (path, namesMax) => unlessMissing([], () => firstNames(path, namesMax)),
  openDirectory,
  openName,
  pathOf,
  openSocket: (path) => {
    const handle = unlessMissing(null, () => openSocket(path));
    return handle === null ? null : { path: pathOf(handle), close: () => closeSync(handle) };
  },
  openRead: (path) => openRegular(path, constants.O_RDONLY),
  statHandle: (handle) => factsOf(fstatSync(handle)),
  read: readFully,
  readInto: fill,
  openDevice,
  create: (path, mode) => {
    const handle = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
    fchmodSync(handle, mode); // the umask must not decide what others may read
    return handle;
  },
  openWrite: (path) => openRegular(path, constants.O_RDWR),
  write: writeFully,
  sync: fsyncSync,
  close: closeSync,
  syncDirectory: (path) => {
    const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  },
  rename: renameSync,
  unlink: (path) => unlessMissing(undefined, () => unlinkSync(path)),
  removeTree,
  sweep,
  makeDirectory: (path, mode) => {
    if (isDirectory(path)) return;
    mkdirSync(path, { mode });
    const handle = openDirectory(path);
    try {
      fchmodSync(handle, mode); // on the new directory, not on anything that has taken its name since
    } finally {
      closeSync(handle);
    }
  },
  link: (target, path) => symlinkSync(target, path),
  readLink: (path) => readlinkSync(path),
  setModeOf,
  setOwnerOf,
  setOwner: lchownSync,
  touch: (path) => utimesSync(path, new Date(), new Date()),
  reserve: (path, bytes) => {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
    allocate(path, bytes);
  },
  freeInodes: (path) => {
    const { files, ffree } = statfsSync(path);
    return files === 0 ? null : ffree;
  },
  freeBytes: (path) => {
    const facts = statfsSync(path);
    return facts.bavail * facts.bsize;
  },
};
