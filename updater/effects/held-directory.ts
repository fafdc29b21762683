import { effectTexts } from '../words/texts.ts';
import type { FileFacts, Files, Handle } from './files.ts';

/**
 * A directory that a user other than root may change: it is opened once, without following a link, from a directory
 * that is root's; its owner is checked on the open directory; and root works through that descriptor. So whatever its
 * owner changes meanwhile, nothing outside it is read, written, removed or given away.
 */

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export class HeldDirectoryError extends Error {
  readonly code: 'not-its-owner' | 'not-a-name' | 'not-its-file';
  constructor(code: HeldDirectoryError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** Does it belong to that user, or to the user of this process? Without separate users, everything does. */
export function belongsTo({ uid }: Pick<FileFacts, 'uid'>, owner: Owner | null): boolean {
  return owner === null || uid === owner.uid || uid === process.getuid?.();
}

/** Only differences are changed: nearly every run finds none. */
function giveTo(files: Files, handle: Handle, mode: number, owner: Owner | null): void {
  const facts = files.statHandle(handle);
  if (owner !== null && (facts.uid !== owner.uid || facts.gid !== owner.gid))
    files.setOwnerOf(handle, owner.uid, owner.gid);
  if (facts.mode !== mode) files.setModeOf(handle, mode);
}

export class HeldDirectory {
  readonly #files: Files;
  readonly #handle: Handle;
  readonly #owner: Owner | null;
  /** Its name, for people only: no operation uses it. */
  readonly path: string;

  constructor(files: Files, handle: Handle, path: string, owner: Owner | null) {
    this.#files = files;
    this.#handle = handle;
    this.#owner = owner;
    this.path = path;
  }

  /** The directory itself, for operations that list or sync it. */
  get here(): string {
    return this.#files.pathOf(this.#handle);
  }

  /**
   * A path of one name in it, for every operation that does not follow a link at its end.
   * @throws HeldDirectoryError
   */
  at(name: string): string {
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
      throw new HeldDirectoryError('not-a-name', effectTexts.notAName(JSON.stringify(name), this.path));
    return `${this.here}/${name}`;
  }

  /** Facts of one name; null when there is none. Never follows a link. */
  stat(name: string): FileFacts | null {
    return this.#files.stat(this.at(name));
  }

  sync(): void {
    this.#files.syncDirectory(this.here);
  }

  /** @see Files.sweep */
  sweep(lookedAtMax: number, isKept: (name: string, path: string) => boolean): number {
    return this.#files.sweep(this.#handle, lookedAtMax, isKept);
  }

  /**
   * Works on a regular file that belongs to the owner and has no other name, opened without blocking.
   * @throws HeldDirectoryError `not-its-file`; errors of opening it
   */
  withOwn<T>(name: string, work: (read: (length: number) => Buffer, facts: FileFacts) => T): T {
    const handle = this.#files.openRead(this.at(name));
    try {
      const facts = this.#files.statHandle(handle);
      if (facts.links !== 1 || !belongsTo(facts, this.#owner)) {
        const why = facts.links === 1 ? effectTexts.belongsTo(facts.uid) : effectTexts.hasNames(facts.links);
        throw new HeldDirectoryError('not-its-file', `${this.path}/${name} ${why}`);
      }
      return work((length) => this.#files.read(handle, 0, length), facts);
    } finally {
      this.#files.close(handle);
    }
  }

  /** The content of such a file. @throws HeldDirectoryError `not-its-file`, also when it is longer */
  readOwn(name: string, bytesMax: number): Buffer {
    return this.withOwn(name, (read, { size }) => {
      if (size <= bytesMax) return read(size);
      throw new HeldDirectoryError('not-its-file', effectTexts.heldTooLarge(this.path, name, size, bytesMax));
    });
  }

  /** Names in it, sorted; at most `namesMax` of them. */
  names(namesMax: number): string[] {
    return this.#files.listAtMost(this.here, namesMax);
  }

  /**
   * Sets owner and mode of what the name means now.
   * @throws HeldDirectoryError when that is a link or has other names
   */
  own(name: string, mode: number, owner: Owner | null): void {
    const handle = this.#files.openName(this.at(name));
    try {
      const { kind, links } = this.#files.statHandle(handle);
      const isOne = kind === 'directory' || (kind === 'file' && links === 1);
      if (!isOne) throw new HeldDirectoryError('not-its-file', effectTexts.notOneFile(this.path, name, kind, links));
      giveTo(this.#files, handle, mode, owner);
    } finally {
      this.#files.close(handle);
    }
  }

  /** Sets owner and mode of the directory itself. */
  giveTo(mode: number, owner: Owner | null): void {
    giveTo(this.#files, this.#handle, mode, owner);
  }

  /** Replaces the descriptor's path in an error by the name that people know. */
  named(error: unknown): unknown {
    if (error instanceof Error)
      error.message = error.message.replaceAll(new RegExp(`${this.here}(?!\\d)`, 'g'), this.path);
    return error;
  }

  close(): void {
    this.#files.close(this.#handle);
  }

  /** Works in a directory below it, in the same way. */
  within<T>(name: string, work: (directory: HeldDirectory) => T): T {
    return withDirectory(this.#files, this.at(name), this.#owner, work, `${this.path}/${name}`);
  }
}

/**
 * Holds a directory while work is done in it. Its parent is root's, or is itself held.
 * @throws HeldDirectoryError `not-its-owner`; errors of opening it: ENOENT, ENOTDIR and ELOOP when it is something else
 */
export function withDirectory<T>(
  files: Files,
  path: string,
  owner: Owner | null,
  work: (directory: HeldDirectory) => T,
  name = path,
): T {
  const directory = holdDirectory(files, path, owner, name);
  try {
    return work(directory);
  } catch (error) {
    throw directory.named(error);
  } finally {
    directory.close();
  }
}

/** {@link withDirectory} for work that takes time: the caller closes the directory. */
export function holdDirectory(files: Files, path: string, owner: Owner | null, name = path): HeldDirectory {
  const handle = files.openDirectory(path);
  const facts = files.statHandle(handle);
  if (belongsTo(facts, owner)) return new HeldDirectory(files, handle, name, owner);
  files.close(handle);
  throw new HeldDirectoryError('not-its-owner', effectTexts.otherOwner(name, facts.uid, owner?.uid));
}

/** {@link withDirectory}, or null when there is nothing at that name. */
export function withDirectoryOrNone<T>(
  files: Files,
  path: string,
  owner: Owner | null,
  work: (directory: HeldDirectory | null) => T,
): T {
  return files.stat(path) === null ? work(null) : withDirectory(files, path, owner, work);
}
