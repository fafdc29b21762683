import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { Digest } from '../protocol/digest.ts';
import { isMissing, replaceFile } from './durable.ts';
import { ImageError } from './errors.ts';
import { buildTexts } from './texts.ts';

const compress = promisify(zstdCompress);

/** zstd's own default: a quarter of a second for each hundred MB, and within some percent of the slow levels. */
const compressionLevel = 3;

/**
 * Compressed chunks by the digest of their raw bytes, kept beside the repository: what two releases share (above all
 * the runtime) is compressed once. Each file begins with the digest of its frame, because what is read here is signed.
 */
export interface FrameStore {
  /** Makes the frame if it is missing or not whole. @returns its size in bytes */
  add(digest: Digest, raw: Uint8Array): Promise<number>;
  /** @throws ImageError `repository-damaged` */
  read(digest: Digest): Promise<Buffer>;
}

export async function openFrameStore(repositoryDir: string): Promise<FrameStore> {
  const directory = join(repositoryDir, 'frames', `zstd-${compressionLevel}`);
  await mkdir(directory, { recursive: true });
  const pathOf = (digest: Digest) => join(directory, digest);
  return {
    async add(digest, raw) {
      const known = await readFrame(pathOf(digest));
      if (known !== null) return known.length;
      const frame = await compress(raw, { params: { [constants.ZSTD_c_compressionLevel]: compressionLevel } });
      await replaceFile(pathOf(digest), Buffer.concat([digestOf(frame), frame]));
      return frame.length;
    },
    async read(digest) {
      const frame = await readFrame(pathOf(digest));
      if (frame !== null) return frame;
      throw new ImageError('repository-damaged', buildTexts.chunkDamaged(digest), buildTexts.chunkDamagedNext);
    },
  };
}

const digestBytes = 32;

function digestOf(frame: Uint8Array): Buffer {
  return createHash('sha256').update(frame).digest();
}

/** null for a frame that is missing or not whole. */
async function readFrame(path: string): Promise<Buffer | null> {
  try {
    const bytes = await readFile(path);
    const frame = bytes.subarray(digestBytes);
    return digestOf(frame).equals(bytes.subarray(0, digestBytes)) ? frame : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
