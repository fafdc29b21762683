import { z } from 'zod';
import { digestShape } from './digest.ts';

/** Limits on what a signed manifest may ask for; a manifest beyond them is refused before anything is fetched. */
export const manifestLimits = {
  /** Bytes of manifest.json: 10,000 chunks and files of about 200 bytes. */
  manifestBytesMax: 4 * 1024 * 1024,
  /** Its size as a zstd frame. */
  manifestFrameBytesMax: 2 * 1024 * 1024,
  chunksMax: 20_000,
  filesMax: 20_000,
  /** Raw bytes of one chunk: limits the memory that unpacking needs. */
  chunkBytesMax: 4 * 1024 * 1024,
  /** Forms of one chunk besides its own frame, each for another base. */
  patchesMax: 4,
  /** Pieces that form one dictionary, and their bytes in all: limits the memory that unpacking needs. */
  extentsMax: 16,
  dictionaryBytesMax: 4 * 1024 * 1024,
  basesMax: 64,
  linksMax: 4_096,
  /** Chunks that all contents name together: the last one of each file is small, the others are 64 KiB or more. */
  usesMax: 200_000,
  payloadBytesMax: 8 * 1024 * 1024 * 1024,
  trialHealthyMsMax: 24 * 60 * 60 * 1000,
} as const;

/** Directories below the slot that a path may have, and the bytes of one name and of the whole path. */
const depthMax = 20;
const nameBytesMax = 200;
const pathBytesMax = 400;

/**
 * Characters that no name needs and that make two names equal or look alike: control and format characters, half
 * surrogates (which all become the same bytes on a disk), private-use characters, line separators, the replacement
 * character.
 */
const oddCharacters = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\ufffd\\]/u;

/** True for a relative path that can only name something inside the slot, with one spelling. */
export function isContainedPath(path: string): boolean {
  if (path.length === 0 || Buffer.byteLength(path) > pathBytesMax) return false;
  if (oddCharacters.test(path) || path !== path.normalize('NFC')) return false;
  const names = path.split('/');
  return (
    names.length <= depthMax &&
    names.every((name) => name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= nameBytesMax) &&
    // The slot's own marks (.seal, .committed) belong to the updater, however the dot is written.
    !twinOf(names[0] ?? '').startsWith('.')
  );
}

/** The name that a path has where capitals, or two ways to write a letter, make no difference. */
export function twinOf(path: string): string {
  return path.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC');
}

/** The directories above a path, nearest last: `a/b/c` -> `a`, `a/b`. */
export function parentsOf(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

export const pathShape = z.string().max(pathBytesMax).refine(isContainedPath, 'a path stays inside the slot');
export const bytesShape = z.int().min(0).max(manifestLimits.payloadBytesMax);
/** A frame of bytes that do not compress is a little longer than the bytes. */
const frameBytesMax = manifestLimits.chunkBytesMax + 64 * 1024;

/** Part of a base's content, as part of a patch's dictionary. */
const extentShape = z.object({
  /** Index into the manifest's `bases`. */
  base: z.int().min(0),
  position: bytesShape,
  length: z.int().min(1).max(manifestLimits.dictionaryBytesMax),
});

/**
 * A smaller form of a chunk: a zstd frame whose dictionary is the content of these extents, one after the other. With
 * other bytes there, unpacking gives a wrong digest, never a wrong file.
 */
export const patchShape = z.object({
  /** Where the frame starts within the bundle's `patches` entry, and its length. */
  offset: bytesShape,
  stored: z.int().min(1).max(frameBytesMax),
  dictionary: z.array(extentShape).min(1).max(manifestLimits.extentsMax),
});
export type Patch = z.infer<typeof patchShape>;

/** A content-addressed piece of the payload. Its stored form is one zstd frame in the bundle's `chunks`. */
export const chunkShape = z.object({
  /** SHA-256 of the raw bytes. */
  sha256: digestShape,
  /** Raw bytes. */
  size: z.int().min(1).max(manifestLimits.chunkBytesMax),
  /** Where the frame starts within the bundle's `chunks` entry, and its length. */
  offset: bytesShape,
  stored: z.int().min(1).max(frameBytesMax),
  patches: z.array(patchShape).min(1).max(manifestLimits.patchesMax).optional(),
});
export type Chunk = z.infer<typeof chunkShape>;

/** A file or image of an earlier release that patches refer to, named by its content, wherever it lies. */
export const baseShape = z.object({ sha256: digestShape, size: bytesShape });
export type Base = z.infer<typeof baseShape>;

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

export const treeShape = z.array(fileShape).max(manifestLimits.filesMax);

/** A symbolic link whose target, relative to the link, is a listed file or a directory of one. */
export const linkShape = z.object({ path: pathShape, target: z.string().min(1).max(pathBytesMax) });
export type LinkEntry = z.infer<typeof linkShape>;

/** The content of a device slot: the concatenation of its chunks. */
export const imageShape = z.object({
  size: bytesShape,
  sha256: digestShape,
  chunks: z.array(z.int().min(0)).max(manifestLimits.chunksMax),
});
export type ImageEntry = z.infer<typeof imageShape>;

/** A shared runtime: its digest is that of {@link treeDigestInput}, so equal trees have one name. */
export const runtimeShape = z.object({
  digest: digestShape,
  name: z.string().max(60),
  files: treeShape,
  /** Path of the interpreter within the tree. */
  entry: pathShape,
});
export type Runtime = z.infer<typeof runtimeShape>;

/** The input of a tree's digest: path, mode and content of each file, sorted by path. */
export function treeDigestInput(files: readonly Pick<FileEntry, 'path' | 'executable' | 'sha256'>[]): string {
  const lines = files.map((file) => `${file.sha256} ${file.executable ? 'x' : '-'} ${file.path}\n`);
  return lines.sort((a, b) => (a.slice(67) < b.slice(67) ? -1 : 1)).join('');
}

/** Raw bytes that an installation needs on disk: the slot's files, and those of a runtime that is not there yet. */
export function installedBytes(files: readonly Pick<FileEntry, 'size'>[]): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}

/**
 * The path within the slot that a link's target names; null when it leaves the slot or is not written plainly. Plain
 * means `../../name/name`: a `..` after a name would go up from wherever that name leads, and a name may be another
 * link.
 */
export function linkedPath({ path, target }: LinkEntry): string | null {
  const names = path.split('/').slice(0, -1);
  const steps = target.split('/');
  while (steps[0] === '..') {
    steps.shift();
    if (names.pop() === undefined) return null;
  }
  const named = [...names, ...steps].join('/');
  return steps.length > 0 && isContainedPath(named) ? named : null;
}
