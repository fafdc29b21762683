import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { securityVersionStepMax } from '../protocol/bounded-step.ts';
import type { Component } from '../protocol/component.ts';
import { type Digest, sha256 } from '../protocol/digest.ts';
import { bundleName, type ManifestInput, manifestShape } from '../protocol/manifest.ts';
import { type FileEntry, manifestLimits, type Runtime, treeDigestInput } from '../protocol/payload.ts';
import { whyNotStartable } from '../protocol/startable.ts';
import { archiveEnd, archiveHeader, archivePadding } from './archive.ts';
import { writeWhole } from './durable.ts';
import { ImageError } from './errors.ts';
import { type FrameStore, openFrameStore } from './frames.ts';
import { type EarlierRelease, readEarlierRelease } from './patching/earlier-release.ts';
import { PatchList } from './patching/patches.ts';
import { ChunkList } from './payload.ts';
import { addRelease, type Repository } from './repository.ts';
import type { OfflineMetadata } from './repository-metadata.ts';
import { buildTexts } from './texts.ts';
import { type SourceFile, treeOf } from './tree.ts';

/** Digests do not compress; for everything else in a manifest, a higher level gains nothing. */
const manifestLevel = 12;

/** A runtime to ship beside the payload. */
export interface RuntimeSource {
  /** For people, e.g. `node`. */
  readonly name: string;
  readonly files: readonly SourceFile[];
  /** Path of the interpreter, relative to the runtime. */
  readonly entry: string;
}

/** A runtime that is one Node binary. */
export function nodeRuntime(binary: string): RuntimeSource {
  const entry = 'bin/node';
  return { name: 'node', files: [{ path: entry, source: binary, executable: true }], entry };
}

/** What a slot will hold. */
export type Payload =
  | {
      readonly kind: 'tree';
      readonly dir: string;
      readonly entry: string;
      /** null, for an updater: it runs on the operating system's. */
      readonly runtime: RuntimeSource | null;
    }
  | { readonly kind: 'image'; readonly file: string };

export interface BundleInput {
  readonly payload: Payload;
  readonly component: Component;
  readonly version: string;
  readonly securityVersion: number;
  readonly compatibility: ManifestInput['compatibility'];
  readonly trial?: ManifestInput['trial'];
  readonly stateBytesMax: number;
  readonly source: ManifestInput['source'];
  readonly sbom: Digest;
  /** Bundles of earlier releases to make patches against, the likeliest first. */
  readonly bases?: readonly string[];
  readonly repository: Repository;
  readonly outDir: string;
}

export interface Bundle {
  readonly path: string;
  readonly bytes: number;
  readonly manifest: Digest;
  readonly chunks: number;
  /** Digest of the runtime's tree; null without one. */
  readonly runtime: Digest | null;
}

/**
 * Describes a payload, adds it to the repository's targets, and writes `<component>-<version>.hfb`. The same input
 * gives the same bytes, except for the metadata, which is dated.
 * @throws ImageError
 */
export async function buildBundle(input: BundleInput): Promise<Bundle> {
  const frames = await openFrameStore(input.repository.dir);
  const earlier = await earlierReleases(input.bases ?? []);
  requireNearSecurityVersion(input, earlier);
  const patches = new PatchList(earlier);
  const chunks = new ChunkList(frames, patches);
  const content = await addPayload(chunks, input.payload);
  const listed = patches.listed(chunks.chunks.map((chunk) => chunk.sha256));
  const described = chunks.chunks.map((chunk) => {
    const own = listed.patches.get(chunk.sha256);
    return own === undefined ? chunk : { ...chunk, patches: own };
  });
  const manifest = manifestBytes(input, { ...content, chunks: described, bases: patches.bases });
  requireStartable({ ...input, ...content });
  const { component, version } = input;
  const metadata = await addRelease(input.repository, { component, version, manifest });
  await mkdir(input.outDir, { recursive: true });
  const path = join(input.outDir, bundleName(component, version));
  const bytes = await writeBundle(path, metadata, manifest, listed.frames, chunks, frames);
  const runtime = content.runtime?.digest ?? null;
  return { path, bytes, manifest: sha256(manifest), chunks: chunks.chunks.length, runtime };
}

/** The fields of the manifest that describe the content of the slot. */
type Content = Pick<ManifestInput, 'entry' | 'files' | 'links' | 'image'> & { readonly runtime: Runtime | null };

async function earlierReleases(paths: readonly string[]): Promise<EarlierRelease[]> {
  const releases: EarlierRelease[] = [];
  for (const path of paths) releases.push(await readEarlierRelease(path));
  return releases;
}

/** Refuses what server and appliances would refuse, because nothing there could start it. */
function requireStartable(release: Parameters<typeof whyNotStartable>[0] & { readonly version: string }): void {
  const why = whyNotStartable(release);
  if (why === null) return;
  const message = buildTexts.notStartable(release.component, release.version, why);
  throw new ImageError('runtime-missing', message, buildTexts.notStartableNext);
}

/** Refuses a number that appliances would refuse, because it would shut out every release numbered below. */
function requireNearSecurityVersion(
  { component, version, securityVersion }: BundleInput,
  earlier: readonly EarlierRelease[],
): void {
  const before = Math.max(0, ...earlier.map((release) => release.securityVersion));
  if (securityVersion - before <= securityVersionStepMax) return;
  throw new ImageError(
    'security-version-step',
    buildTexts.securityVersionStep(securityVersion, component, version, securityVersionStepMax, before),
    buildTexts.securityVersionStepNext,
  );
}

async function addPayload(chunks: ChunkList, payload: Payload): Promise<Content> {
  if (payload.kind === 'image') {
    const image = await chunks.addContent(payload.file);
    return { entry: null, files: [], runtime: null, image };
  }
  const tree = await treeOf(payload.dir);
  const files = await addTree(chunks, tree.files);
  const runtime = payload.runtime === null ? null : await addRuntime(chunks, payload.runtime);
  return { entry: payload.entry, files, links: [...tree.links], runtime };
}

async function addTree(chunks: ChunkList, sources: readonly SourceFile[]): Promise<FileEntry[]> {
  const files: FileEntry[] = [];
  for (const source of sources) files.push(await chunks.addFile(source));
  return files;
}

async function addRuntime(chunks: ChunkList, source: RuntimeSource): Promise<Runtime> {
  const files = await addTree(chunks, source.files);
  return { digest: sha256(treeDigestInput(files)), name: source.name, files, entry: source.entry };
}

function manifestBytes(input: BundleInput, content: Content & Pick<ManifestInput, 'chunks' | 'bases'>): Buffer {
  const manifest: ManifestInput = {
    format: 1,
    component: input.component,
    version: input.version,
    securityVersion: input.securityVersion,
    ...content,
    compatibility: input.compatibility,
    ...(input.trial === undefined ? {} : { trial: input.trial }),
    stateBytesMax: input.stateBytesMax,
    source: input.source,
    sbom: input.sbom,
  };
  // A manifest that an appliance would refuse is not built.
  const parsed = manifestShape.safeParse(manifest);
  const bytes = Buffer.from(JSON.stringify(parsed.success ? parsed.data : null));
  if (parsed.success && bytes.length <= manifestLimits.manifestBytesMax) return bytes;
  throw new ImageError(
    'payload-invalid',
    buildTexts.noManifest(input.component, input.version),
    buildTexts.noManifestNext,
    { cause: parsed.error ?? new RangeError(`the manifest has ${bytes.length} bytes`) },
  );
}

/** The same bytes give the same frame: the level is fixed, and one thread compresses. */
function packManifest(manifest: Buffer): Buffer {
  return zstdCompressSync(manifest, { params: { [constants.ZSTD_c_compressionLevel]: manifestLevel } });
}

async function writeBundle(
  path: string,
  metadata: OfflineMetadata,
  manifest: Buffer,
  patches: readonly Buffer[],
  chunks: ChunkList,
  frames: FrameStore,
): Promise<number> {
  let written = 0;
  await writeWhole(path, 0o644, async (append) => {
    const add = async (bytes: Uint8Array) => {
      written += bytes.length;
      await append(bytes);
    };
    const addEntry = async (name: string, bytes: Uint8Array) =>
      add(Buffer.concat([archiveHeader(name, bytes.length), bytes, archivePadding(bytes.length)]));
    for (const [index, root] of metadata.roots.entries()) await addEntry(`metadata/${index + 1}.root.json`, root);
    await addEntry('metadata/targets.json', metadata.targets);
    await addEntry('manifest.json.zst', packManifest(manifest));
    if (patches.length > 0) await addEntry('patches', Buffer.concat(patches));
    await add(archiveHeader('chunks', chunks.storedBytes));
    for (const chunk of chunks.chunks) await add(await frames.read(chunk.sha256));
    await add(archivePadding(chunks.storedBytes));
    await add(archiveEnd);
  });
  return written;
}
