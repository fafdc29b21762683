import { basename, dirname, join } from 'node:path';
import { effectTexts } from '../words/texts.ts';
import type { FileFacts, Files, Handle } from './files.ts';

interface MadeFile {
  readonly kind: 'file';
  bytes: Buffer;
  readonly mode: number;
}
/** What was made here: a directory, a file with its bytes, or the new name of a file of the disk. */
type Made = MadeFile | { readonly kind: 'directory' } | { readonly kind: 'renamed'; readonly from: string };

/** What these files refuse, because a mere look has no reason to do it. */
class NothingIsChangedError extends Error {
  readonly code = 'EROFS';
  constructor(operation: string, path: string) {
    super(effectTexts.nothingChanged(operation, path));
  }
}

const epoch = { uid: 0, gid: 0, links: 1, mtimeMs: 0 } as const;
const factsOf = ({ bytes, mode }: MadeFile): FileFacts => ({ ...epoch, kind: 'file', size: bytes.length, mode });
const failure = (path: string, code: string) => Object.assign(new Error(`${path}: ${code}`), { code });
const never =
  (operation: string) =>
  (path: string): never => {
    throw new NothingIsChangedError(operation, path);
  };
const nothing = (): void => undefined;

/** The names in memory, on top of those of the disk. */
class Names {
  readonly #disk: Files;
  readonly #made = new Map<string, Made>();
  readonly #gone = new Set<string>();
  readonly #held = new Map<string, Handle>();

  constructor(disk: Files) {
    this.#disk = disk;
  }

  made(path: string): Made | undefined {
    return this.#made.get(path);
  }

  make(path: string, entry: Made): void {
    this.#made.set(path, entry);
  }

  /** Its place on the disk; null: the disk does not have it, as seen from here. */
  onDisk(path: string): string | null {
    const known = this.#known(path);
    return known === null ? null : this.#throughHeld(known);
  }

  #known(path: string): string | null {
    const here = this.#made.get(path);
    if (here?.kind === 'renamed') return here.from;
    return here === undefined && !this.#isGone(path) ? path : null;
  }

  /**
   * Holds an open directory of the disk: its names are those of the open directory, whatever its own name means by now.
   */
  hold(path: string, handle: Handle): void {
    this.#held.set(path, handle);
  }

  letGo(handle: Handle): void {
    for (const [path, held] of this.#held) if (held === handle) this.#held.delete(path);
  }

  pathOf(handle: Handle): string | null {
    return [...this.#held].find(([, held]) => held === handle)?.[0] ?? null;
  }

  #throughHeld(path: string): string {
    const itself = this.#held.get(path);
    if (itself !== undefined) return this.#disk.pathOf(itself);
    const parent = this.#held.get(dirname(path));
    return parent === undefined ? path : `${this.#disk.pathOf(parent)}/${basename(path)}`;
  }

  stat(path: string): FileFacts | null {
    const here = this.#made.get(path);
    if (here?.kind === 'file') return factsOf(here);
    if (here?.kind === 'directory') return { ...epoch, kind: 'directory', size: 0, mode: 0o700 };
    const real = this.onDisk(path);
    return real === null ? null : this.#disk.stat(real);
  }

  list(path: string): string[] {
    const real = this.onDisk(path);
    const below = real === null ? [] : this.#disk.list(real).filter((name) => !this.#isGone(join(path, name)));
    const here = [...this.#made.keys()].filter((one) => dirname(one) === path).map((one) => one.slice(path.length + 1));
    return [...new Set([...below, ...here])].sort((a, b) => (a < b ? -1 : 1));
  }

  remove(path: string): void {
    for (const one of this.#made.keys()) if (one === path || one.startsWith(`${path}/`)) this.#made.delete(one);
    this.#gone.add(path);
  }

  rename(from: string, to: string): void {
    const here = this.#made.get(from);
    if (this.stat(from)?.kind !== 'file') throw new NothingIsChangedError('renaming', from);
    const real = this.#known(from);
    this.remove(to);
    this.remove(from);
    if (here !== undefined) this.#made.set(to, here);
    else if (real !== null) this.#made.set(to, { kind: 'renamed', from: real });
  }

  #isGone(path: string): boolean {
    for (let at = path; ; at = dirname(at)) {
      if (this.#gone.has(at)) return true;
      if (dirname(at) === at) return false;
    }
  }
}

/**
 * Files that are read from the disk and changed in memory only: code that runs on them decides as it would on the disk,
 * and leaves no trace there. For small files; what is made here is gone with the object.
 */
export function filesUnchanged(disk: Files): Files {
  const names = new Names(disk);
  return {
    ...disk,
    ...contents(disk, names),
    stat: (path) => names.stat(path),
    list: (path) => names.list(path),
    listAtMost: (path, namesMax) => {
      const real = names.made(path) === undefined ? names.onDisk(path) : null;
      return real === null ? names.list(path).slice(0, namesMax) : disk.listAtMost(real, namesMax);
    },
    openDevice: (path, access) => {
      return access === 'read' ? disk.openDevice(path, access) : never(effectTexts.openingForWriting)(path);
    },
    rename: (from, to) => names.rename(from, to),
    unlink: (path) => names.remove(path),
    removeTree: (path) => names.remove(path),
    makeDirectory: (path) => {
      if (names.stat(path) === null) names.make(path, { kind: 'directory' });
    },
    openWrite: never(effectTexts.openingForWriting),
    link: never('linking'),
    reserve: never('reserving'),
    syncDirectory: nothing,
    sweep: (directory) => never('removing')(names.pathOf(directory) ?? effectTexts.aDirectory),
    setModeOf: nothing,
    setOwnerOf: nothing,
    setOwner: nothing,
    touch: nothing,
  };
}

type Contents = Pick<
  Files,
  | 'openDirectory'
  | 'openName'
  | 'openSocket'
  | 'pathOf'
  | 'openRead'
  | 'statHandle'
  | 'read'
  | 'readInto'
  | 'create'
  | 'write'
  | 'sync'
  | 'close'
>;

function contents(disk: Files, names: Names): Contents {
  /** Handles of what was made here; those of the disk are never below zero. */
  const open = new Map<Handle, MadeFile>();
  let lastHandle = 0;
  const openMade = (entry: MadeFile): Handle => {
    lastHandle -= 1;
    open.set(lastHandle, entry);
    return lastHandle;
  };
  const onDisk = (path: string): string => {
    const real = names.onDisk(path);
    if (real === null) throw failure(path, 'ENOENT');
    return real;
  };
  return {
    openDirectory: (path) => {
      const handle = disk.openDirectory(onDisk(path));
      names.hold(path, handle);
      return handle;
    },
    openName: (path) => disk.openName(onDisk(path)),
    openSocket: (path, known) => disk.openSocket(onDisk(path), known),
    pathOf: (handle) => names.pathOf(handle) ?? disk.pathOf(handle),
    openRead: (path) => {
      const here = names.made(path);
      return here?.kind === 'file' ? openMade(here) : disk.openRead(onDisk(path));
    },
    statHandle: (handle) => {
      const entry = open.get(handle);
      return entry === undefined ? disk.statHandle(handle) : factsOf(entry);
    },
    read: (handle, position, length) => {
      const entry = open.get(handle);
      if (entry === undefined) return disk.read(handle, position, length);
      return Buffer.from(entry.bytes.subarray(position, position + length));
    },
    readInto: (handle, buffer, position) => {
      const entry = open.get(handle);
      return entry === undefined ? disk.readInto(handle, buffer, position) : entry.bytes.copy(buffer, 0, position);
    },
    create: (path, mode) => {
      if (names.stat(path) !== null) throw failure(path, 'EEXIST');
      const entry: MadeFile = { kind: 'file', bytes: Buffer.alloc(0), mode };
      names.make(path, entry);
      return openMade(entry);
    },
    write: (handle, bytes, position) => {
      const entry = open.get(handle);
      if (entry === undefined) throw new NothingIsChangedError('writing', effectTexts.aFile);
      const grown = Buffer.alloc(Math.max(entry.bytes.length, position + bytes.length));
      entry.bytes.copy(grown);
      grown.set(bytes, position);
      entry.bytes = grown;
    },
    sync: nothing,
    close: (handle) => {
      if (open.delete(handle)) return;
      names.letGo(handle);
      disk.close(handle);
    },
  };
}
