import { createHash } from 'node:crypto';
import { sha256 } from '../../protocol/digest.ts';
import { type Chunk, type FileEntry, treeDigestInput } from '../../protocol/payload.ts';
import { Refusal } from '../refusal.ts';
import { publishTexts } from '../texts.ts';
import { unpackFrame } from './frame.ts';
import { malformedBundle, type OpenedBundle, readExactly } from './open-bundle.ts';

/**
 * Unpacks and digests every chunk and every file, as each appliance will (S10): all of them would refuse an error, on
 * site. One chunk is in memory at a time.
 * @throws Refusal `chunk-corrupt`
 */
export async function verifyChunks(bundle: OpenedBundle): Promise<void> {
  const { manifest } = bundle;
  const verified = new Set<number>();
  const files = [...manifest.files, ...(manifest.runtime?.files ?? [])];
  for (const file of files) await verifyFile(bundle, file, verified);
  for (const [index, chunk] of manifest.chunks.entries()) {
    if (!verified.has(index)) await readChunk(bundle, chunk);
  }
  const { runtime } = manifest;
  if (runtime !== null && sha256(treeDigestInput(runtime.files)) !== runtime.digest) {
    throw corrupt(publishTexts.otherRuntime(runtime.name));
  }
  const stored = manifest.chunks.reduce((end, chunk) => Math.max(end, chunk.offset + chunk.stored), 0);
  if (stored !== bundle.chunks.size) throw malformedBundle(publishTexts.chunksDiffer);
}

async function verifyFile(bundle: OpenedBundle, file: FileEntry, verified: Set<number>): Promise<void> {
  const digest = createHash('sha256');
  for (const index of file.chunks) {
    const chunk = bundle.manifest.chunks[index];
    if (chunk === undefined) throw malformedBundle(publishTexts.chunkNotListed(file.path));
    digest.update(await readChunk(bundle, chunk));
    verified.add(index);
  }
  if (digest.digest('hex') !== file.sha256) throw corrupt(publishTexts.otherFile(file.path));
}

async function readChunk(bundle: OpenedBundle, chunk: Chunk): Promise<Buffer> {
  if (chunk.offset + chunk.stored > bundle.chunks.size) throw malformedBundle(publishTexts.chunkOutside);
  const frame = await readExactly(bundle.file, bundle.chunks.position + chunk.offset, chunk.stored);
  let raw: Buffer;
  try {
    raw = await unpackFrame(frame, chunk.size);
  } catch (cause) {
    throw corrupt(publishTexts.chunkNotUnpacked(chunk.sha256.slice(0, 12)), cause);
  }
  if (raw.length !== chunk.size || sha256(raw) !== chunk.sha256) {
    throw corrupt(publishTexts.otherChunk(chunk.sha256.slice(0, 12)));
  }
  return raw;
}

function corrupt(message: string, cause?: unknown): Refusal {
  const next = publishTexts.buildAnewNothingPublishedNext;
  return new Refusal('chunk-corrupt', message, next, cause === undefined ? {} : { cause });
}
