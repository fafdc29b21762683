import { z } from 'zod';
import { componentShape } from './component.ts';
import { digestShape } from './digest.ts';
import { versionShape } from './version.ts';

/** Caps on what a signed manifest may ask for; a manifest beyond them is refused before anything is fetched. */
export const manifestLimits = {
  /** Bytes of manifest.json: 10,000 chunks and files of about 200 bytes. */
  manifestBytesMax: 4 * 1024 * 1024,
  chunksMax: 20_000,
  filesMax: 20_000,
  /** Raw bytes of one chunk: bounds the memory of whoever unpacks it. */
  chunkBytesMax: 4 * 1024 * 1024,
  payloadBytesMax: 8 * 1024 * 1024 * 1024,
  trialHealthyMsMax: 24 * 60 * 60 * 1000,
} as const;

/** Directories below the slot that a path may have, and the bytes of one name and of the whole path. */
const depthMax = 20;

/** True for a relative path that can only name something inside the slot, the same on every file system. */
export function isContainedPath(path: string): boolean {
  if (path.length === 0 || Buffer.byteLength(path) > 400 || path !== path.normalize('NFC')) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return false;
  const names = path.split('/');
  return (
    names.length <= depthMax &&
    names.every((name) => name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 200) &&
    // The slot's own marks (.seal, .committed) are the updater's.
    !(names[0] ?? '').startsWith('.')
  );
}

const pathShape = z.string().max(400).refine(isContainedPath, 'a path stays inside the slot');
const bytesShape = z.int().min(0).max(manifestLimits.payloadBytesMax);

/** A content-addressed piece of the payload. Its stored form is one zstd frame in the bundle's `chunks`. */
export const chunkShape = z.object({
  /** SHA-256 of the raw bytes. */
  sha256: digestShape,
  /** Raw bytes. */
  size: z.int().min(1).max(manifestLimits.chunkBytesMax),
  /** Where the frame starts within the bundle's `chunks` entry, and its length. */
  offset: z.int().min(0).max(manifestLimits.payloadBytesMax),
  stored: z
    .int()
    .min(1)
    .max(manifestLimits.chunkBytesMax + 64 * 1024),
});
export type Chunk = z.infer<typeof chunkShape>;

/** A regular file: the concatenation of its chunks. */
export const fileShape = z.object({
  path: pathShape,
  /** Executable or not: the mode becomes 0755 or 0644, nothing else. */
  executable: z.boolean(),
  size: bytesShape,
  sha256: digestShape,
  /** Indexes into the manifest's `chunks`, in order. */
  chunks: z.array(z.int().min(0)).max(manifestLimits.chunksMax),
});
export type FileEntry = z.infer<typeof fileShape>;

const treeShape = z.array(fileShape).max(manifestLimits.filesMax);

/** A shared runtime: its digest is that of {@link treeDigestInput}, so equal trees have one name. */
export const runtimeShape = z.object({
  digest: digestShape,
  name: z.string().max(60),
  files: treeShape,
  /** Path of the interpreter within the tree. */
  entry: pathShape,
});
export type Runtime = z.infer<typeof runtimeShape>;

/** What a tree's digest is made over: path, mode and content of each file, sorted by path. */
export function treeDigestInput(files: readonly Pick<FileEntry, 'path' | 'executable' | 'sha256'>[]): string {
  const lines = files.map((file) => `${file.sha256} ${file.executable ? 'x' : '-'} ${file.path}\n`);
  return lines.sort((a, b) => (a.slice(67) < b.slice(67) ? -1 : 1)).join('');
}

export const manifestShape = z
  .object({
    format: z.literal(1),
    component: componentShape,
    version: versionShape,
    /** Rises when an older release must not come back. */
    securityVersion: z.int().min(0),
    /** Path of the program within the slot. */
    entry: pathShape,
    /** null: the runtime that the operating system's image brings. */
    runtime: runtimeShape.nullable(),
    files: treeShape,
    chunks: z.array(chunkShape).max(manifestLimits.chunksMax),
    compatibility: z.object({
      hardware: z.array(z.string().max(100)).max(32).default([]),
      /** The oldest updater that can install this. */
      updater: versionShape.optional(),
      /** State schemas that this version can read, and the one that it writes. */
      state: z.object({ reads: z.object({ min: z.int().min(0), max: z.int().min(0) }), writes: z.int().min(0) }),
    }),
    trial: z
      .object({
        healthyMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax),
        deadlineMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax),
      })
      .optional(),
    /** The agent's state that a snapshot may hold at the most. */
    stateBytesMax: bytesShape,
    source: z.object({ commit: z.string().max(80), builtBy: z.string().max(200) }),
    sbom: digestShape,
  })
  .superRefine((manifest, context) => {
    const trees = [manifest.files, manifest.runtime?.files ?? []];
    for (const files of trees) {
      const seen = new Set<string>();
      for (const file of files) {
        const twin = file.path.toLowerCase();
        if (seen.has(twin)) context.addIssue(`two entries are named ${file.path}`);
        seen.add(twin);
        const sizes = file.chunks.map((index) => manifest.chunks[index]?.size);
        if (sizes.some((size) => size === undefined)) context.addIssue(`${file.path} names a chunk that is not listed`);
        else if (sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) !== file.size) {
          context.addIssue(`the chunks of ${file.path} do not add up to its size`);
        }
      }
      for (const file of files) {
        const parents = file.path
          .split('/')
          .slice(0, -1)
          .map((_, i, all) =>
            all
              .slice(0, i + 1)
              .join('/')
              .toLowerCase(),
          );
        if (parents.some((parent) => seen.has(parent))) context.addIssue(`${file.path} lies below a file`);
      }
    }
    if (!manifest.files.some((file) => file.path === manifest.entry))
      context.addIssue('the entry is not among the files');
    if (manifest.runtime && !manifest.runtime.files.some((file) => file.path === manifest.runtime?.entry)) {
      context.addIssue("the runtime's entry is not among its files");
    }
  });
export type Manifest = z.infer<typeof manifestShape>;
export type ManifestInput = z.input<typeof manifestShape>;

/** The TUF target path of a release's manifest; below `targets/` it is prefixed by its digest (consistent snapshots). */
export function manifestTargetName(component: string, version: string): string {
  return `${component}-${version}.manifest.json`;
}

/** The bundle's file name, e.g. `app-1.0.52.hfb`. */
export function bundleName(component: string, version: string): string {
  return `${component}-${version}.hfb`;
}

/** Raw bytes that installing needs on disk: the slot's files, and the runtime's when it is not there yet. */
export function installedBytes(files: readonly Pick<FileEntry, 'size'>[]): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}
