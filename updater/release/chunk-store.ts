import { join } from 'node:path';
import { components } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { type Chunk, manifestLimits } from '../../protocol/payload.ts';
import { manifestName } from '../../protocol/seal.ts';
import { readFile, writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { DeviceSlots } from './device-slots.ts';
import { release, unpackFrame } from './frame.ts';
import type { Bundle } from './open-bundle.ts';
import { ReleaseError } from './release-error.ts';
import { looksSealed } from './verify-slot.ts';

const slotNames = ['0', '1', '2', 'factory'];
/** Where an installed slot or runtime has a chunk's bytes; a hint until they were hashed. */
interface Place {
  readonly path: string;
  readonly position: number;
  readonly isDevice: boolean;
}

export interface ChunkPlace {
  readonly files: Files;
  readonly layout: Layout;
  readonly tx: number;
  /** Directory of the slot that is about to be written, and is therefore no source. */
  readonly slot: string;
  readonly devices: DeviceSlots;
  /** A bundle that lies on this machine: what is in it need not be copied first. */
  readonly bundle: Bundle | null;
}

export interface ChunkStore {
  /**
   * The verified raw bytes, from a fetched frame, from what is installed, or from the bundle where it lies; null when
   * nobody has them. They are the caller's, who should {@link release} them.
   */
  read(chunk: Chunk): Buffer | null;
  /** Keeps a frame whose chunk was verified; durable when it returns. */
  keep(chunk: Chunk, frame: Buffer): void;
}

/**
 * The chunks that this appliance has: frames in work/<tx>/, and pieces of files in slots and runtimes.
 */
export function chunkStore(place: ChunkPlace): ChunkStore {
  const { files, layout, tx, bundle } = place;
  const directory = workDirectory(layout, tx);
  let installed: ReadonlyMap<Digest, Place> | null = null;
  return {
    read: (chunk) => {
      const fetched = readFrame(files, join(directory, chunk.sha256), chunk);
      if (fetched !== null) return fetched;
      installed ??= installedChunks(place);
      const found = installed.get(chunk.sha256);
      const here = found === undefined ? null : readPlace(files, found, chunk);
      return here ?? (bundle === null ? null : readBundled(bundle, chunk));
    },
    keep: (chunk, frame) => {
      const path = join(directory, chunk.sha256);
      files.unlink(`${path}.tmp`);
      writeNewFile(files, `${path}.tmp`, frame, 0o600);
      files.rename(`${path}.tmp`, path);
      files.syncDirectory(directory);
    },
  };
}

/** work/<tx>: all that a transaction keeps until it ends. */
export function workDirectory(layout: Layout, tx: number): string {
  return join(layout.work, String(tx));
}

/** A frame that was kept, verified again: a disk may rot between two starts. What does not verify is removed. */
function readFrame(files: Files, path: string, chunk: Chunk): Buffer | null {
  const facts = files.stat(path);
  if (facts === null) return null;
  if (facts.kind === 'file' && facts.size === chunk.stored) {
    try {
      return unpackFrame(readFile(files, path, chunk.stored) ?? Buffer.alloc(0), chunk);
    } catch (error) {
      if (!(error instanceof ReleaseError)) throw error;
    }
  }
  files.removeTree(path);
  return null;
}

function readPlace(files: Files, { path, position, isDevice }: Place, chunk: Chunk): Buffer | null {
  const open = () => (isDevice ? files.openDevice(path, 'read') : files.openRead(path));
  const handle = files.stat(path) === null ? null : unlessUnreadable(open);
  if (handle === null) return null;
  try {
    const raw = files.read(handle, position, chunk.size);
    if (raw.length === chunk.size && sha256(raw) === chunk.sha256) return raw;
    release(raw);
    return null;
  } finally {
    files.close(handle);
  }
}

/** What can not be opened (a link, a FIFO, a bad block) is no source of chunks, and no reason to stop. */
function unlessUnreadable<T>(open: () => T): T | null {
  try {
    return open();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

function readBundled({ source, chunks }: Bundle, chunk: Chunk): Buffer | null {
  const frame = source.readNow?.(chunks.position + chunk.offset, chunk.stored);
  if (frame === undefined) return null;
  const raw = unpackFrame(frame, chunk);
  release(frame);
  return raw;
}

function installedChunks({ files, layout, slot: exceptSlot, devices }: ChunkPlace): Map<Digest, Place> {
  const chunks = new Map<Digest, Place>();
  const note = (directory: string, runtime: string | null) => {
    if (directory === exceptSlot || !looksSealed(files, directory).sound) return;
    const manifest = keptManifest(files, directory);
    if (manifest === null) return;
    const entries = runtime === null ? manifest.files : (manifest.runtime?.files ?? []);
    for (const entry of entries) {
      notePlaces(chunks, { path: join(directory, entry.path), isDevice: false }, entry.chunks, manifest.chunks);
    }
    const device = devices.get(directory);
    if (manifest.image === null || device === undefined) return;
    notePlaces(chunks, { path: device, isDevice: true }, manifest.image.chunks, manifest.chunks);
  };
  for (const component of components) {
    for (const name of slotNames) note(layout.slot(component, name), null);
  }
  for (const digest of files.list(layout.runtimes)) note(layout.runtime(digest), digest);
  return chunks;
}

function keptManifest(files: Files, directory: string) {
  const bytes = readFile(files, join(directory, manifestName), manifestLimits.manifestBytesMax);
  if (bytes === null) return null;
  try {
    const parsed = manifestShape.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null; // rotten: then it is no source
    throw error;
  }
}

function notePlaces(
  chunks: Map<Digest, Place>,
  content: Omit<Place, 'position'>,
  indexes: readonly number[],
  list: readonly Chunk[],
): void {
  let position = 0;
  for (const index of indexes) {
    const chunk = list[index];
    if (chunk === undefined) return;
    if (!chunks.has(chunk.sha256)) chunks.set(chunk.sha256, { ...content, position });
    position += chunk.size;
  }
}
