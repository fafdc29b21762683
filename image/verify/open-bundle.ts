import { type FileHandle, open } from 'node:fs/promises';
import { blockBytes } from '../../protocol/bundle-header.ts';
import { BundleError, type BundleParts, type Place, readBundle } from '../../protocol/read-bundle.ts';
import { ImageError } from '../errors.ts';
import { verifyTexts } from '../texts.ts';

/** The parts of a bundle, read but not yet trusted. */
export type OpenedBundle = Pick<BundleParts, 'roots' | 'targets' | 'release'>;

/** Two blocks of zeros, as the builder writes them. */
const trailerBytes = 2 * blockBytes;

export function damaged(what: string, cause?: unknown): ImageError {
  return new ImageError('bundle-damaged', verifyTexts.notWhole(what), verifyTexts.notWholeNext, {
    cause,
  });
}

/** Opens a bundle for as long as `work` takes. @throws ImageError `bundle-damaged`, `file-unreadable` */
export async function withBundle<Result>(
  path: string,
  work: (bundle: OpenedBundle, read: ReadPlace) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new ImageError('file-unreadable', verifyTexts.unreadable(path), verifyTexts.unreadableNext, { cause });
  });
  try {
    const read: ReadPlace = (place) => readPlace(file, place);
    return await work(await readParts(file, read), read);
  } finally {
    await file.close();
  }
}

export type ReadPlace = (place: Place) => Promise<Buffer>;

async function readPlace(file: FileHandle, { position, size }: Place): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  for (let filled = 0; filled < size; ) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, position + filled);
    if (bytesRead === 0) throw damaged(verifyTexts.endsTooEarly);
    filled += bytesRead;
  }
  return bytes;
}

async function readParts(file: FileHandle, read: ReadPlace): Promise<OpenedBundle> {
  const { size } = await file.stat();
  try {
    const found = await readBundle({ size, read: (position, bytes) => read({ position, size: bytes }) });
    if (found.roots[0]?.version !== 1) throw damaged(verifyTexts.noRoot);
    if (found.trailerBytes !== trailerBytes) throw damaged(verifyTexts.padding);
    return found;
  } catch (cause) {
    throw cause instanceof BundleError ? damaged(verifyTexts.bundleProblem(cause.message), cause) : cause;
  }
}
