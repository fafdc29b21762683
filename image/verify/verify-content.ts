import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdDecompress } from 'node:zlib';
import { sha256 } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { endOfFrames } from '../../protocol/manifest-rules.ts';
import { type Chunk, manifestLimits, treeDigestInput } from '../../protocol/payload.ts';
import { isPlainFrame } from '../../protocol/plain-frame.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { verifyTexts } from '../texts.ts';
import { damaged, type OpenedBundle, type ReadPlace } from './open-bundle.ts';

const unpack = promisify(zstdDecompress);

/** log2 of the memory that a frame may need: 8 MiB, as on an appliance. */
const windowLogMax = 23;

async function unpackFrame(frame: Buffer, sizeMax: number, what: string): Promise<Buffer> {
  if (!isPlainFrame(frame)) throw damaged(verifyTexts.notOneFrame(what));
  try {
    return await unpack(frame, {
      maxOutputLength: sizeMax,
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
    });
  } catch (cause) {
    throw damaged(verifyTexts.notUnpacked(what), cause);
  }
}

export type Release = NonNullable<OpenedBundle['release']>;

/** @throws ImageError `bundle-damaged` */
export async function openManifest({ manifestFrame, chunks, patches }: Release) {
  const bytes = await unpackFrame(manifestFrame, manifestLimits.manifestBytesMax, verifyTexts.itsManifest);
  const reading = readManifest(bytes);
  if (reading.outcome === 'newer') throw damaged(verifyTexts.manifestNeeds(reading.needs));
  if (reading.outcome === 'unusable') throw damaged(verifyTexts.manifestNotUsable(reading.why), reading.cause);
  const { manifest } = reading;
  const patchFrames = manifest.chunks.flatMap((chunk) => chunk.patches ?? []);
  if (endOfFrames(manifest.chunks) !== chunks.size || endOfFrames(patchFrames) !== (patches?.size ?? 0)) {
    throw damaged(verifyTexts.framesDiffer);
  }
  return { bytes, manifest };
}

/**
 * Unpacks and digests every chunk, file and image, one chunk at a time. Patches are left out: they need the release
 * that they were made against, and an appliance that cannot use one takes the chunk.
 * @throws ImageError `bundle-damaged`
 */
export async function verifyContent({ chunks }: Release, manifest: Manifest, read: ReadPlace): Promise<void> {
  const raw = async (index: number): Promise<Buffer> => {
    const chunk = manifest.chunks[index];
    if (chunk === undefined) throw damaged(verifyTexts.chunkNotListed(index));
    const frame = await read({ position: chunks.position + chunk.offset, size: chunk.stored });
    return contentOf(chunk, frame);
  };
  const { files, runtime, image } = manifest;
  const named = [...files, ...(runtime?.files ?? [])];
  const contents = image === null ? named : [...named, { path: verifyTexts.theImage, ...image }];
  const seen = new Set<number>();
  for (const { path, sha256: expected, chunks: indexes } of contents) {
    const digest = createHash('sha256');
    for (const index of indexes) {
      digest.update(await raw(index));
      seen.add(index);
    }
    if (digest.digest('hex') !== expected) throw damaged(verifyTexts.otherFile(path));
  }
  for (const index of manifest.chunks.keys()) if (!seen.has(index)) await raw(index);
  if (runtime !== null && sha256(treeDigestInput(runtime.files)) !== runtime.digest) {
    throw damaged(verifyTexts.otherRuntime);
  }
  const bill = files.find(({ path }) => path === 'sbom.json');
  if (bill !== undefined && bill.sha256 !== manifest.sbom) {
    throw damaged(verifyTexts.otherSbom);
  }
}

async function contentOf(chunk: Chunk, frame: Buffer): Promise<Buffer> {
  const name = verifyTexts.chunk(chunk.sha256.slice(0, 12));
  const content = await unpackFrame(frame, chunk.size, name);
  if (content.length === chunk.size && sha256(content) === chunk.sha256) return content;
  throw damaged(verifyTexts.otherFile(name));
}
