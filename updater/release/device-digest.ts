import { createHash } from 'node:crypto';
import type { Digest } from '../../protocol/digest.ts';
import type { Files, Handle } from '../effects/files.ts';
import { release } from './frame.ts';

/** Bytes that are read at once. */
const pieceBytes = 1024 * 1024;

/** The digest of a device's content up to the size of its image; null when it cannot be read that far. */
export function deviceDigest(files: Files, device: string, size: number): Digest | null {
  const handle = files.openDevice(device, 'read');
  try {
    return hashContent(files, handle, size);
  } finally {
    files.close(handle);
  }
}

/** null when the content ends before that. */
export function hashContent(files: Files, handle: Handle, size: number): Digest | null {
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
