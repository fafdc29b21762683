import { join } from 'node:path';
import { components } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { type Chunk, type FileEntry, manifestLimits } from '../../protocol/payload.ts';
import { manifestName } from '../../protocol/seal.ts';
import { readFile, writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { unpackFrame } from './frame.ts';
import { ReleaseError } from './release-error.ts';
import { looksSealed } from './verify-slot.ts';

const slotNames = ['0', '1', '2', 'factory'];
/** Where an installed slot or runtime has a chunk's bytes; a hint until they were hashed. */
interface Place {
  readonly path: string;
  readonly position: number;
}

export interface ChunkStore {
  /** The verified raw bytes, from a fetched frame or from what is installed; null when neither has them. */
  read(chunk: Chunk): Buffer | null;
  /** Keeps a frame whose chunk was verified; durable when it returns. */
  keep(chunk: Chunk, frame: Buffer): void;
}

/**
 * The chunks that this appliance has: frames in work/<tx>/, and pieces of files in slots and runtimes.
 * @param exceptSlot directory of the slot that is about to be written, and is therefore no source
 */
export function chunkStore(files: Files, layout: Layout, tx: number, exceptSlot: string): ChunkStore {
  const directory = workDirectory(layout, tx);
  let installed: ReadonlyMap<Digest, Place> | null = null;
  return {
    read: (chunk) => {
      const fetched = readFrame(files, join(directory, chunk.sha256), chunk);
      if (fetched !== null) return fetched;
      installed ??= installedChunks(files, layout, exceptSlot);
      const place = installed.get(chunk.sha256);
      return place === undefined ? null : readPlace(files, place, chunk);
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

function readPlace(files: Files, { path, position }: Place, chunk: Chunk): Buffer | null {
  if (files.stat(path)?.kind !== 'file') return null;
  const handle = files.openRead(path);
  try {
    const raw = files.read(handle, position, chunk.size);
    return raw.length === chunk.size && sha256(raw) === chunk.sha256 ? raw : null;
  } finally {
    files.close(handle);
  }
}

function installedChunks(files: Files, layout: Layout, exceptSlot: string): Map<Digest, Place> {
  const chunks = new Map<Digest, Place>();
  const note = (directory: string, runtime: string | null) => {
    if (directory === exceptSlot || !looksSealed(files, directory).sound) return;
    const manifest = keptManifest(files, directory);
    if (manifest === null) return;
    const entries = runtime === null ? manifest.files : (manifest.runtime?.files ?? []);
    for (const entry of entries) notePlaces(chunks, directory, entry, manifest.chunks);
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

function notePlaces(chunks: Map<Digest, Place>, directory: string, entry: FileEntry, list: readonly Chunk[]): void {
  let position = 0;
  for (const index of entry.chunks) {
    const chunk = list[index];
    if (chunk === undefined) return;
    if (!chunks.has(chunk.sha256)) chunks.set(chunk.sha256, { path: join(directory, entry.path), position });
    position += chunk.size;
  }
}
