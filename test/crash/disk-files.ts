import {
  type FileFacts,
  type Files,
  type Handle,
  type HeldSocket,
  NotARegularFileError,
} from '../../updater/effects/files.ts';
import { apply, type DiskState, emptyDisk, inodeAt, type NameChange, type Undecided, withNamesSynced } from './disk.ts';
import type { Inode } from './inodes.ts';
import { failed, heldIn, heldParts, heldPrefix, inodesBelow, walked, wayOf } from './paths.ts';

const freeBytes = 64 * 1024 * 1024 * 1024;

/**
 * `Files` on a disk in memory. `before` sees each step that changes something, and may throw in its place. What lies below a
 * `volatile` path never reaches the disk: it is seen, and is neither decided nor undecided.
 */
export class DiskFiles implements Files {
  #disk: DiskState;
  #handles = new Map<Handle, number>();
  #opened = new Map<Handle, string>(); // the names by which directories were opened
  #lastHandle = 2;
  readonly #before: (disk: DiskState, step: string) => void;
  readonly #volatile: readonly string[];
  readonly #volatileInodes: Set<number>;

  constructor(
    disk: DiskState = emptyDisk(),
    before: (disk: DiskState, step: string) => void = () => undefined,
    volatile: readonly string[] = [],
  ) {
    this.#disk = disk;
    this.#before = before;
    this.#volatile = volatile;
    this.#volatileInodes = inodesBelow(disk.seen, volatile);
  }

  /** The disk now; later steps do not change it. */
  get disk(): DiskState {
    return this.#disk;
  }

  #inode(number: number): Inode {
    const inode = this.#disk.seen.get(number);
    if (inode === undefined) throw failed('ENOENT', `inode ${number}`);
    return inode;
  }

  /** The inode of a path; null when there is none. A link at its end is itself, unless the path says `/.` after it. */
  #find(path: string): number | null {
    const { parts, following } = wayOf(path);
    return this.#walk(parts, following);
  }

  /** Below an open descriptor the way begins at what is open. */
  #walk(parts: readonly string[], following: boolean): number | null {
    const held = heldIn(parts);
    if (held === null) return walked(this.#disk.seen, parts, following);
    return walked(this.#disk.seen, parts.slice(heldParts), following, this.#handles.get(held) ?? null);
  }

  /** What people call a path: an open directory by the name that it was opened by. */
  #called(path: string): string {
    const held = heldIn(wayOf(path).parts);
    if (held === null) return path;
    return [this.#opened.get(held) ?? '?', ...wayOf(path).parts.slice(heldParts)].join('/');
  }

  /** The directory that a path is in, and its last name there. */
  #place(path: string): { directory: number; name: string } {
    const { parts } = wayOf(path);
    const directory = this.#walk(parts.slice(0, -1), true);
    if (directory === null) throw failed('ENOENT', path);
    if (this.#inode(directory).kind !== 'directory') throw failed('ENOTDIR', path);
    return { directory, name: parts.at(-1) ?? '' };
  }

  #change(step: string, item: Undecided, isVolatile: boolean, made?: Inode): void {
    this.#before(this.#disk, step);
    let { seen, decided, undecided, nextInode } = this.#disk;
    if (made !== undefined) {
      seen = seen.with(nextInode, made);
      if (isVolatile) this.#volatileInodes.add(nextInode);
      else decided = decided.with(nextInode, made);
      nextInode += 1;
    }
    seen = apply(seen, item, 'whole');
    if (!isVolatile) undecided = [...undecided, item];
    this.#disk = { seen, decided, undecided, nextInode };
  }

  #names(step: string, changes: readonly NameChange[], made?: Inode): void {
    const volatile = changes.filter(({ directory }) => this.#volatileInodes.has(directory));
    if (volatile.length > 0 && volatile.length < changes.length) throw failed('EXDEV', step);
    this.#change(step, { kind: 'names', changes, synced: [] }, volatile.length > 0, made);
  }

  #make(step: string, path: string, made: Inode): number {
    const place = this.#place(path);
    if (this.#find(path) !== null) throw failed('EEXIST', path);
    const inode = this.#disk.nextInode;
    this.#names(`${step} ${this.#called(path)}`, [{ ...place, inode }], made);
    return inode;
  }

  #open(inode: number): Handle {
    this.#lastHandle += 1;
    this.#handles.set(this.#lastHandle, inode);
    return this.#lastHandle;
  }

  #number(handle: Handle): number {
    const number = this.#handles.get(handle);
    if (number === undefined) throw failed('EBADF', `${handle}`);
    return number;
  }

  #file(handle: Handle): { number: number; inode: Extract<Inode, { kind: 'file' }> } {
    const number = this.#number(handle);
    const inode = this.#inode(number);
    if (inode.kind !== 'file') throw failed('EBADF', `${handle}`);
    return { number, inode };
  }

  #facts(inode: Inode): FileFacts {
    const size = inode.kind === 'file' ? inode.bytes.length : 0;
    const mode = inode.kind === 'link' ? 0o777 : inode.mode;
    return { kind: inode.kind, size, mode, uid: 0, gid: 0, links: 1, mtimeMs: 0 };
  }

  stat(path: string): FileFacts | null {
    const number = this.#find(path);
    return number === null ? null : this.#facts(this.#inode(number));
  }

  list(path: string): string[] {
    const number = this.#walk(wayOf(path).parts, true);
    const inode = number === null ? null : this.#inode(number);
    return inode?.kind === 'directory' ? [...inode.names.keys()].sort((a, b) => (a < b ? -1 : 1)) : [];
  }

  listAtMost(path: string, namesMax: number): string[] {
    return this.list(path).slice(0, namesMax);
  }

  openDirectory(path: string): Handle {
    const handle = this.openName(path);
    if (this.#inode(this.#handles.get(handle) ?? -1).kind === 'directory') return handle;
    this.close(handle);
    throw failed('ENOTDIR', path);
  }

  openName(path: string): Handle {
    const number = this.#find(path);
    if (number === null) throw failed('ENOENT', path);
    const handle = this.#open(number);
    this.#opened.set(handle, this.#called(path));
    return handle;
  }

  pathOf(handle: Handle): string {
    return `/${heldPrefix.join('/')}/${handle}`;
  }

  /** Sockets are not part of the model: they are found by their names. */
  openSocket(_path: string, known: string): HeldSocket {
    return { path: known, close: () => undefined };
  }

  openRead(path: string): Handle {
    const number = this.#find(path);
    if (number === null) throw failed('ENOENT', path);
    if (this.#inode(number).kind !== 'file') throw new NotARegularFileError(`${path} is not a regular file`);
    return this.#open(number);
  }

  readonly openWrite = (path: string): Handle => this.openRead(path);
  readonly openDevice = (path: string): Handle => this.openRead(path);

  statHandle(handle: Handle): FileFacts {
    return this.#facts(this.#inode(this.#number(handle)));
  }

  read(handle: Handle, position: number, length: number): Buffer {
    return Buffer.from(this.#file(handle).inode.bytes.subarray(position, position + length));
  }

  readInto(handle: Handle, buffer: Buffer, position: number): number {
    return this.#file(handle).inode.bytes.copy(buffer, 0, position);
  }

  create(path: string, mode: number): Handle {
    return this.#open(this.#make('create', path, { kind: 'file', bytes: Buffer.alloc(0), mode }));
  }

  write(handle: Handle, bytes: Uint8Array, position: number): void {
    const { number } = this.#file(handle);
    // With memory of its own: it is kept for long, and would keep all that shares Node's pool with it.
    const kept = Buffer.allocUnsafeSlow(bytes.length);
    kept.set(bytes);
    const item = { kind: 'write', inode: number, bytes: kept, position } as const;
    this.#change(`write ${handle}`, item, this.#volatileInodes.has(number));
  }

  sync(handle: Handle): void {
    const { number, inode } = this.#file(handle);
    this.#before(this.#disk, `sync ${handle}`);
    if (this.#volatileInodes.has(number)) return;
    const decided = this.#disk.decided.with(number, inode);
    const undecided = this.#disk.undecided.filter((item) => item.kind !== 'write' || item.inode !== number);
    this.#disk = { ...this.#disk, decided, undecided };
  }

  close(handle: Handle): void {
    this.#handles.delete(handle);
    this.#opened.delete(handle);
  }

  syncDirectory(path: string): void {
    const number = this.#walk(wayOf(path).parts, true);
    if (number === null) throw failed('ENOENT', path);
    this.#before(this.#disk, `syncDirectory ${this.#called(path)}`);
    if (this.#volatileInodes.has(number)) return;
    this.#disk = withNamesSynced(this.#disk, number);
  }

  rename(from: string, to: string): void {
    const number = this.#find(from);
    if (number === null) throw failed('ENOENT', from);
    const target = this.#find(to);
    if (target === number) return;
    const there = target === null ? null : this.#inode(target);
    if (there?.kind === 'directory' && there.names.size > 0) throw failed('ENOTEMPTY', to);
    this.#names(`rename ${this.#called(from)} ${this.#called(to)}`, [
      { ...this.#place(from), inode: null },
      { ...this.#place(to), inode: number },
    ]);
  }

  unlink(path: string): void {
    const number = this.#find(path);
    if (number === null) return;
    if (this.#inode(number).kind === 'directory') throw failed('EISDIR', path);
    this.#names(`unlink ${this.#called(path)}`, [{ ...this.#place(path), inode: null }]);
  }

  removeTree(path: string): void {
    const number = this.#find(path);
    if (number === null) return;
    const inode = this.#inode(number);
    if (inode.kind === 'directory') for (const name of inode.names.keys()) this.removeTree(`${path}/${name}`);
    this.#names(`remove ${this.#called(path)}`, [{ ...this.#place(path), inode: null }]);
  }

  sweep(directory: Handle, lookedAtMax: number, isKept: (name: string, path: string) => boolean): number {
    const here = this.pathOf(directory);
    const gone = this.listAtMost(here, lookedAtMax).filter((name) => !isKept(name, `${here}/${name}`));
    for (const name of gone) this.removeTree(`${here}/${name}`);
    return gone.length;
  }

  makeDirectory(path: string, mode: number): void {
    if (this.stat(path)?.kind === 'directory') return;
    const made = this.#make('makeDirectory', path, { kind: 'directory', names: new Map(), mode });
    if (this.#volatile.some((one) => inodeAt(this.#disk.seen, one) === made)) this.#volatileInodes.add(made);
  }

  link(target: string, path: string): void {
    this.#make('link', path, { kind: 'link', target });
  }

  readLink(path: string): string {
    const number = this.#find(path);
    const inode = number === null ? null : this.#inode(number);
    if (inode?.kind !== 'link') throw failed('EINVAL', path);
    return inode.target;
  }

  setModeOf(handle: Handle, mode: number): void {
    const number = this.#number(handle);
    const changed = (inodes: DiskState['seen']) => {
      const inode = inodes.get(number);
      return inode === undefined || inode.kind === 'link' ? inodes : inodes.with(number, { ...inode, mode });
    };
    this.#disk = { ...this.#disk, seen: changed(this.#disk.seen), decided: changed(this.#disk.decided) };
  }

  readonly setOwnerOf = (handle: Handle): void => void this.#number(handle);

  setOwner(path: string): void {
    if (this.#find(path) === null) throw failed('ENOENT', path);
  }

  readonly touch = (path: string): void => this.setOwner(path);

  readonly reserve = (path: string, _bytes: number): void => void this.create(path, 0o600);

  readonly freeInodes = (): null => null;
  readonly freeBytes = (): number => freeBytes;
}
