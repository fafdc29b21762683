import type { Manifest } from '../../protocol/manifest.ts';
import type { ImageEntry } from '../../protocol/payload.ts';
import type { Files, Handle } from '../effects/files.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import type { ChunkStore } from './chunk-store.ts';
import { hashContent } from './device-digest.ts';
import { release } from './frame.ts';

export interface DeviceOrder {
  readonly files: Files;
  readonly device: string;
  readonly manifest: Manifest;
  readonly image: ImageEntry;
  readonly store: ChunkStore;
}

/**
 * Writes an image into the device of a slot, from verified chunks, syncs it, and reads all of it back. The device's
 * content after the image stays as it is. May be repeated from any point; the slot must have no seal.
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
      if (raw === null) throw new ReleaseError('chunk-missing', releaseTexts.imageChunkMissing);
      files.write(handle, raw, position);
      position += raw.length;
      release(raw);
    }
    files.sync(handle);
    const digest = hashContent(files, handle, image.size);
    if (digest !== image.sha256) {
      throw new ReleaseError('slot-damaged', releaseTexts.deviceReadsBack(device));
    }
  } finally {
    files.close(handle);
  }
}

function openForWriting(files: Files, device: string): Handle {
  try {
    return files.openDevice(device, 'write');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new ReleaseError('device-unusable', releaseTexts.deviceNotWritable(device, String(cause.code)), {
      cause,
    });
  }
}

/** The facts of a block device do not show its size, so its last byte is read instead. */
function requireSize(files: Files, handle: Handle, device: string, size: number): void {
  if (size === 0 || files.readInto(handle, Buffer.alloc(1), size - 1) === 1) return;
  throw new ReleaseError('device-unusable', releaseTexts.deviceTooSmall(device, size));
}
