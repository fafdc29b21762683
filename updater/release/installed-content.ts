import { join } from 'node:path';
import { components } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Chunk } from '../../protocol/payload.ts';
import type { Files } from '../effects/files.ts';
import type { DeviceSlots } from './device-slots.ts';
import { release } from './frame.ts';
import { looksSealed, readOwnManifest } from './verify-slot.ts';

/** The content of sealed slots and runtimes, as their manifests describe it; only a hint until the bytes are hashed. */

const slotNames = ['0', '1', '2', 'factory'];

/** A file, or the device of a slot. */
interface Content {
  readonly path: string;
  readonly isDevice: boolean;
}

interface Place extends Content {
  readonly position: number;
}

export interface InstalledPlace {
  readonly files: Files;
  readonly layout: Layout;
  /** Directory of the slot that is about to be written, and so is not a source. */
  readonly slot: string;
  readonly devices: DeviceSlots;
}

export interface Installed {
  /** The verified raw bytes of a chunk; null when nothing has them. */
  chunk(chunk: Chunk): Buffer | null;
  hasContent(digest: Digest): boolean;
  /** Bytes of a content, unverified; null when they cannot be read. */
  read(digest: Digest, position: number, length: number): Buffer | null;
}

export function installedContent(place: InstalledPlace): Installed {
  const { files } = place;
  const { chunks, contents } = lookAround(place);
  return {
    chunk: (chunk) => {
      const found = chunks.get(chunk.sha256);
      const raw = found === undefined ? null : readPlace(files, found, found.position, chunk.size);
      if (raw === null || sha256(raw) === chunk.sha256) return raw;
      release(raw);
      return null;
    },
    hasContent: (digest) => contents.has(digest),
    read: (digest, position, length) => {
      const found = contents.get(digest);
      return found === undefined ? null : readPlace(files, found, position, length);
    },
  };
}

/** Exactly `length` bytes; null when there are fewer. */
function readPlace(files: Files, { path, isDevice }: Content, position: number, length: number): Buffer | null {
  if (files.stat(path) === null) return null;
  const handle = unlessUnreadable(() => (isDevice ? files.openDevice(path, 'read') : files.openRead(path)));
  if (handle === null) return null;
  try {
    const raw = files.read(handle, position, length);
    if (raw.length === length) return raw;
    release(raw);
    return null;
  } finally {
    files.close(handle);
  }
}

/** What cannot be opened (a link, a FIFO, a bad block) is not a source of chunks, but must not stop anything either. */
function unlessUnreadable<T>(open: () => T): T | null {
  try {
    return open();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

function lookAround({ files, layout, slot: exceptSlot, devices }: InstalledPlace) {
  const chunks = new Map<Digest, Place>();
  const contents = new Map<Digest, Content>();
  const note = (content: Content, digest: Digest, indexes: readonly number[], list: readonly Chunk[]) => {
    if (!contents.has(digest)) contents.set(digest, content);
    let position = 0;
    for (const index of indexes) {
      const chunk = list[index];
      if (chunk === undefined) return;
      if (!chunks.has(chunk.sha256)) chunks.set(chunk.sha256, { ...content, position });
      position += chunk.size;
    }
  };
  const noteDirectory = (directory: string, isRuntime: boolean) => {
    if (directory === exceptSlot || !looksSealed(files, directory).sound) return;
    const own = readOwnManifest(files, directory);
    if (own === null) return; // rotten, so it is not a source
    const { manifest } = own;
    for (const entry of isRuntime ? (manifest.runtime?.files ?? []) : manifest.files) {
      note({ path: join(directory, entry.path), isDevice: false }, entry.sha256, entry.chunks, manifest.chunks);
    }
    const device = devices.get(directory);
    const { image } = manifest;
    if (image !== null && device !== undefined) {
      note({ path: device, isDevice: true }, image.sha256, image.chunks, manifest.chunks);
    }
  };
  for (const component of components) {
    for (const name of slotNames) noteDirectory(layout.slot(component, name), false);
  }
  for (const digest of files.list(layout.runtimes)) noteDirectory(layout.runtime(digest), true);
  return { chunks, contents };
}
