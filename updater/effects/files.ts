import {
  chmodSync,
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
  rmSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
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
  /** Bytes of the disk that it has: less than its size where it has holes. Absent: nobody knows. */
  readonly occupies?: number;
}

/** An open file; a number on the real disk. */
export type Handle = number;

/**
 * Every operation on files of updater and launch, and the only file of `updater/` that imports node:fs. Small and
 * synchronous, so that a test can record it, and fail, lose, tear or reorder any one step. Nothing here is durable
 * until `sync` (content) and `syncDirectory` (names) have returned.
 * Errors are those of the system, with their `code` (`ENOENT`, `ENOSPC`, `EROFS`, …).
 */
export interface Files {
  /** null when there is nothing. Never follows a link. */
  stat(path: string): FileFacts | null;
  /** Names in a directory, sorted; empty when there is none. */
  list(path: string): string[];
  /** The first `namesMax` names that the directory gives, sorted: for a directory that a stranger may have filled. */
  listAtMost(path: string, namesMax: number): string[];
  /** Opens for reading without following a link and without blocking; only what is a regular file. */
  openRead(path: string): Handle;
  /** Facts of what is open, which no rename can change any more. */
  statHandle(handle: Handle): FileFacts;
  /** Reads up to `length` bytes at `position`; fewer only at the end of the file. */
  read(handle: Handle, position: number, length: number): Buffer;
  /** The same into a buffer of the caller's, which is filled as far as the file goes. @returns the bytes read */
  readInto(handle: Handle, buffer: Buffer, position: number): number;
  /** Makes a new file; fails with EEXIST when the name is taken by anything. */
  create(path: string, mode: number): Handle;
  /** Opens an existing regular file for writing in place. */
  openWrite(path: string): Handle;
  /**
   * Opens the device of a slot: a block device, or a file that stands for one, by whatever links lead there. For writing,
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
  /** Removes a tree, whatever is in it; nothing happens when it is not there. */
  removeTree(path: string): void;
  /** Makes one directory; nothing happens when it is there already. */
  makeDirectory(path: string, mode: number): void;
  link(target: string, path: string): void;
  readLink(path: string): string;
  setMode(path: string, mode: number): void;
  setOwner(path: string, uid: number, gid: number): void;
  /** Sets the modification time to now. */
  touch(path: string): void;
  /** Makes a file that has so many bytes of the disk for itself, whatever else is written. `EOPNOTSUPP` where that can not be. */
  reserve(path: string, bytes: number): void;
  /** Bytes that an ordinary user could still write on the file system of `path`. */
  freeBytes(path: string): number;
  /** Files that could still be made there; null where their number has no bound of its own. */
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
    occupies: Number(stats.blocks) * 512, // stat(2): in units of 512 bytes, whatever the file system's are
  };
}

function openRegular(path: string, flags: number): Handle {
  // O_NONBLOCK: opening a FIFO that somebody put in a file's place must not wait for a writer.
  const handle = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if (!fstatSync(handle).isFile()) {
    closeSync(handle);
    throw new NotARegularFileError(`${path} is not a regular file`);
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
  throw new NotARegularFileError(`${path} is neither a block device nor a file`);
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
  removeTree: (path) => rmSync(path, { recursive: true, force: true }),
  makeDirectory: (path, mode) => {
    const stats = unlessMissing(null, () => lstatSync(path));
    if (stats?.isDirectory()) return;
    mkdirSync(path, { mode });
    chmodSync(path, mode);
  },
  link: (target, path) => symlinkSync(target, path),
  readLink: (path) => readlinkSync(path),
  setMode: chmodSync,
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

/**
 * For a directory that nothing has to outlive, in a Node that may write nowhere else: under its permission model it
 * refuses what works on what is open (`--permission`: fsync, fchmod).
 */
export const scratchFiles: Files = {
  ...realFiles,
  create: (path, mode) => openSync(path, 'wx+', mode),
  sync: () => undefined,
  syncDirectory: () => undefined,
};
