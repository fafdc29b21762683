import { createHash } from 'node:crypto';
import type { Digest } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { ImageEntry } from '../../protocol/payload.ts';
import type { Files, Handle } from '../effects/files.ts';
import type { ChunkStore } from './chunk-store.ts';
import { release } from './frame.ts';
import { ReleaseError } from './release-error.ts';

/** Bytes that are read back at once. */
const pieceBytes = 1024 * 1024;

export interface DeviceOrder {
  readonly files: Files;
  readonly device: string;
  readonly manifest: Manifest;
  readonly image: ImageEntry;
  readonly store: ChunkStore;
}

/**
 * Writes an image into the device of a slot, from verified chunks, syncs it, and reads all of it back. What the device
 * holds behind the image stays as it is. May be repeated from any point; the slot must have no seal.
 * @throws ReleaseError `device-unusable`, `chunk-missing`, `slot-damaged`
 */
export function writeDevice({ files, device, manifest, image, store }: DeviceOrder): void {
  const handle = openForWriting(files, device);
  try {
    requireSize(files, handle, device, image.size);
    let position = 0;
    for (const index of image.chunks) {
      const chunk = manifest.chunks[index];
      const raw = chunk === undefined ? null : store.read(chunk);
      if (raw === null) throw new ReleaseError('chunk-missing', `a chunk of the image is not here (any more)`);
      files.write(handle, raw, position);
      position += raw.length;
      release(raw);
    }
    files.sync(handle);
    const digest = hashContent(files, handle, image.size);
    if (digest !== image.sha256) {
      throw new ReleaseError('slot-damaged', `${device} was written, but what it gives back is something else`);
    }
  } finally {
    files.close(handle);
  }
}

/** The digest of what a device holds where its image should be; null when it can not be read that far. */
export function deviceDigest(files: Files, device: string, size: number): Digest | null {
  const handle = files.openDevice(device, 'read');
  try {
    return hashContent(files, handle, size);
  } finally {
    files.close(handle);
  }
}

function hashContent(files: Files, handle: Handle, size: number): Digest | null {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(pieceBytes);
  try {
    for (let position = 0; position < size; ) {
      const wanted = piece.subarray(0, Math.min(pieceBytes, size - position));
      if (files.readInto(handle, wanted, position) < wanted.length) return null;
      hash.update(wanted);
      position += wanted.length;
    }
    return hash.digest('hex');
  } finally {
    release(piece);
  }
}

function openForWriting(files: Files, device: string): Handle {
  try {
    return files.openDevice(device, 'write');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new ReleaseError('device-unusable', `${device} can not be written as a slot (${String(cause.code)})`, {
      cause,
    });
  }
}

/** A block device has no size that a plain look tells: its last byte is read instead. */
function requireSize(files: Files, handle: Handle, device: string, size: number): void {
  if (size === 0 || files.readInto(handle, Buffer.alloc(1), size - 1) === 1) return;
  throw new ReleaseError('device-unusable', `${device} is smaller than the image of ${size} bytes`);
}
