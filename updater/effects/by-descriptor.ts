import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  type Dir,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { effectTexts } from '../words/texts.ts';

/**
 * Work by descriptor instead of by path (openat(2) and its kin, which Node lacks: `/proc/self/fd/N/name` does the
 * same). What is open stays the same, whatever happens to its name; and nothing here follows a link at the last name.
 */

/** Opens whatever a name means, without any effect on it: a link, a pipe, a device, an unreadable file (open(2)). */
const openPathOnly = 0o10000000;
/** Directories of one tree that are open at a time; deeper ones are moved up first. */
const depthMax = 32;
/** Names that one removal takes; a tree with more is a stranger's, and the next run continues with it. */
const namesMax = 2_000_000;
/** Consecutive looks at a directory that another process keeps changing, without removing a single name. */
const idleLooksMax = 16;

export const pathOf = (handle: number): string => `/proc/self/fd/${handle}`;

/** A path by its bytes: to the system, names are not text, and names that are not UTF-8 must be removed as well. */
type Path = string | Buffer;

function within(handle: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${pathOf(handle)}/`), name]);
}

export function openDirectory(path: Path): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

export function openName(path: Path): number {
  return openSync(path, openPathOnly | constants.O_NOFOLLOW);
}

export function setModeOf(handle: number, mode: number): void {
  chmodSync(pathOf(handle), mode);
}

export function setOwnerOf(handle: number, uid: number, gid: number): void {
  chownSync(pathOf(handle), uid, gid);
}

/** @returns the socket that the name means now; null: it is not a socket */
export function openSocket(path: string): number | null {
  const handle = openName(path);
  if (fstatSync(handle).isSocket()) return handle;
  closeSync(handle);
  return null;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}

export class TreeTooLargeError extends Error {
  readonly code = 'tree-too-large';
}

/** One removal: where it began, and how much more it may do. */
class Removal {
  #names = namesMax;
  #moved = 0;
  /** The directory that is removed; directories that lie too deep are moved into it. */
  #top: number | null = null;

  /** Removes whatever the name means now, with everything below it. Does nothing when it means nothing. */
  name(path: Path, depth: number): void {
    if (this.#names === 0) throw new TreeTooLargeError(effectTexts.tooManyNames(String(path), namesMax));
    this.#names -= 1;
    for (let idle = 0; ; ) {
      const before = this.#names;
      try {
        unlinkSync(path);
        return;
      } catch (error) {
        if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return;
        // EPERM: the answer of unlink(2) on other systems for a directory, and here for a file that may not be removed.
        if (codeOf(error) !== 'EISDIR' && codeOf(error) !== 'EPERM') throw error;
        if (this.#directory(path, depth, error)) return;
        // Either a moved-up directory waits in it, or another process replaced or filled it: as long as names are
        // removed, the next look takes more.
        idle = this.#names === before ? idle + 1 : 0;
        if (idle === idleLooksMax) throw error;
      }
    }
  }

  /** @returns whether it is gone */
  #directory(path: Path, depth: number, why: unknown): boolean {
    if (depth >= depthMax && this.#top !== null) return this.#moveUp(path, this.#top);
    let handle: number;
    try {
      handle = openDirectory(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return true;
      if (codeOf(error) !== 'ENOTDIR' && codeOf(error) !== 'ELOOP') throw error;
      if (codeOf(why) === 'EPERM') throw why;
      return false;
    }
    const isTop = this.#top === null;
    try {
      if (isTop) this.#top = handle;
      for (const name of namesOf(handle)) this.name(within(handle, name), depth + 1);
    } finally {
      if (isTop) this.#top = null;
      closeSync(handle);
    }
    return isRemoved(path);
  }

  #moveUp(path: Path, top: number): boolean {
    for (;;) {
      this.#moved += 1;
      const to = within(top, Buffer.from(`.deep-${this.#moved}`));
      try {
        lstatSync(to);
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error;
        renameSync(path, to);
        return true;
      }
    }
  }
}

function isRemoved(path: Path): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** Names as they are read, each once per pass; names created meanwhile belong to the next pass. */
function* namesOf(handle: number): Generator<Buffer> {
  // Node types a directory's names as text, whatever encoding is asked for.
  const directory: Dir = opendirSync(pathOf(handle), { encoding: 'latin1' });
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      yield Buffer.from(entry.name, 'latin1');
    }
  } finally {
    directory.closeSync();
  }
}

/** Removes a tree without following a link, even while other processes change it. @throws TreeTooLargeError */
export function removeTree(path: string): void {
  new Removal().name(path, 0);
}

/**
 * Removes what a directory holds and need not keep, and looks at no more than `lookedAtMax` names.
 * @returns how many were removed
 */
export function sweep(handle: number, lookedAtMax: number, isKept: (name: string, path: string) => boolean): number {
  let [removed, looked] = [0, 0];
  for (const name of namesOf(handle)) {
    looked += 1;
    if (looked > lookedAtMax) break;
    const text = name.toString('utf8');
    // A name that is not text is never kept.
    if (Buffer.from(text).equals(name) && isKept(text, `${pathOf(handle)}/${text}`)) continue;
    new Removal().name(within(handle, name), 0);
    removed += 1;
  }
  return removed;
}
