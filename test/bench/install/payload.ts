import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, statSync, writeSync } from 'node:fs';

const blockBytes = 1024 * 1024;

/** A file of which half compresses, the same for the same seed: random and repeated bytes in turn, 64 KiB each. */
export function writePayload(path: string, seed: string, megabytes: number): void {
  if (existsSync(path) && statSync(path).size === megabytes * blockBytes) return;
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  const noise = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const handle = openSync(path, 'w');
  try {
    const piece = 64 * 1024;
    for (let block = 0; block < megabytes; block += 1) {
      const bytes = Buffer.alloc(blockBytes, `block ${block} of ${seed};`);
      for (let at = 0; at < blockBytes; at += 2 * piece) noise.update(Buffer.alloc(piece)).copy(bytes, at);
      writeSync(handle, bytes);
    }
  } finally {
    closeSync(handle);
  }
}
