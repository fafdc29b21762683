import { manifestLimits } from '../../protocol/payload.ts';
import { BundleError, type BundleParts, type Place, readBundle } from '../../protocol/read-bundle.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import type { ByteSource } from './byte-source.ts';
import { unpackPlainFrame } from './frame.ts';

export interface Bundle {
  readonly source: ByteSource;
  readonly roots: BundleParts['roots'];
  readonly targets: Buffer;
  readonly manifestBytes: Buffer;
  /** Where the frames are, and the frames of patches; null without any. */
  readonly chunks: Place;
  readonly patches: Place | null;
}

/**
 * Reads everything of a bundle but its chunks. Only its form is verified so far.
 * @throws ReleaseError `not-a-bundle`, `bad-bundle`, `truncated`
 */
export async function openBundle(source: ByteSource): Promise<Bundle> {
  const { roots, targets, release } = await parts(source);
  if (release === null) throw new ReleaseError('bad-bundle', releaseTexts.metadataOnly(source.name));
  const { manifestFrame, chunks, patches } = release;
  return { source, roots, targets, manifestBytes: unpackManifest(source, manifestFrame), chunks, patches };
}

async function parts(source: ByteSource): Promise<BundleParts> {
  try {
    return await readBundle(source);
  } catch (cause) {
    if (!(cause instanceof BundleError)) throw cause;
    throw new ReleaseError(cause.code, `${source.name} ${cause.message}`, { cause });
  }
}

/** The signed digest covers the raw bytes, so it does not matter how they were packed. */
function unpackManifest(source: ByteSource, frame: Buffer): Buffer {
  try {
    return unpackPlainFrame({ frame, sizeMax: manifestLimits.manifestBytesMax });
  } catch (cause) {
    throw new ReleaseError('bad-bundle', releaseTexts.manifestNotUnpacked(source.name), { cause });
  }
}
