import type { Component } from './component.ts';
import {
  type Base,
  type Chunk,
  type FileEntry,
  type ImageEntry,
  installedBytes,
  type LinkEntry,
  linkedPath,
  manifestLimits,
  parentsOf,
  type Runtime,
  twinOf,
} from './payload.ts';

/** What the rules check; each field by itself already has its allowed shape. */
export interface Described {
  readonly component: Component;
  readonly entry: string | null;
  readonly runtime: Runtime | null;
  readonly files: readonly FileEntry[];
  readonly links: readonly LinkEntry[];
  readonly image: ImageEntry | null;
  readonly chunks: readonly Chunk[];
  readonly bases: readonly Base[];
}

/**
 * What contradicts the whole manifest although each field is allowed, as one sentence; null when nothing does. It stops
 * at the first contradiction and takes time in proportion to the manifest, because the manifest may come from an
 * attacker.
 */
export function contradiction(manifest: Described): string | null {
  for (const found of contradictions(manifest)) return found;
  return null;
}

function* contradictions(manifest: Described): Generator<string> {
  const { component, entry, runtime, files, links, image } = manifest;
  if ((component === 'os') !== (image !== null)) yield 'an os release is an image, and no other release is';
  if (image !== null && (entry !== null || files.length > 0 || links.length > 0 || runtime !== null)) {
    yield 'an image comes without files';
  }
  if (image === null && !files.some((file) => file.path === entry)) yield 'the entry is not among the files';
  if (runtime !== null && !runtime.files.some((file) => file.path === runtime.entry)) {
    yield "the runtime's entry is not among its files";
  }
  const payload = installedBytes([...files, ...(runtime?.files ?? [])]) + (image?.size ?? 0);
  if (payload > manifestLimits.payloadBytesMax) yield 'the payload is larger than any slot';
  yield* frameContradictions(manifest);
  yield* useContradictions(manifest);
  yield* treeContradictions(files, links);
  yield* treeContradictions(runtime?.files ?? [], []);
}

/** Frames follow each other without gaps, so that there is no place for unsigned bytes; each chunk occurs once. */
function* frameContradictions({ chunks, bases }: Described): Generator<string> {
  const digests = new Set<string>();
  for (const { sha256 } of chunks) {
    // Fetched chunks are kept by digest: two forms of one chunk would replace each other for ever.
    if (digests.has(sha256)) yield `two chunks are ${sha256}`;
    digests.add(sha256);
  }
  if (endOfFrames(chunks) === null) yield 'the frames of the chunks do not follow each other';
  const patches = chunks.flatMap((chunk) => chunk.patches ?? []);
  if (endOfFrames(patches) === null) yield 'the frames of the patches do not follow each other';
  for (const { dictionary } of patches) {
    const bytes = dictionary.reduce((sum, { length }) => sum + length, 0);
    if (bytes > manifestLimits.dictionaryBytesMax) yield 'a patch needs a larger dictionary than is allowed';
    if (dictionary.some(({ base, position, length }) => position + length > (bases[base]?.size ?? -1))) {
      yield 'a patch uses more of a base than there is';
    }
  }
}

/** Where a frame starts within its entry of the bundle, and its length. */
export type Frame = Pick<Chunk, 'offset' | 'stored'>;

/**
 * Where frames end that begin at 0 and leave no gap, in whatever order they are listed; null if there is a gap or an
 * overlap.
 */
export function endOfFrames(frames: readonly Frame[]): number | null {
  let end = 0;
  for (const { offset, stored } of frames.toSorted((a, b) => a.offset - b.offset)) {
    if (offset !== end) return null;
    end += stored;
  }
  return end;
}

interface Content {
  readonly name: string;
  readonly size: number;
  readonly chunks: readonly number[];
}

function* useContradictions({ chunks, files, runtime, image }: Described): Generator<string> {
  const named: Content[] = [...files, ...(runtime?.files ?? [])].map((file) => ({ ...file, name: file.path }));
  if (image !== null) named.push({ ...image, name: 'the image' });
  const uses = named.reduce((sum, content) => sum + content.chunks.length, 0);
  if (uses > manifestLimits.usesMax) yield `the contents name ${uses} chunks, ${manifestLimits.usesMax} are allowed`;
  for (const content of named) {
    let bytes = 0;
    for (const index of content.chunks) {
      const chunk = chunks[index];
      if (chunk === undefined) yield `${content.name} names a chunk that is not listed`;
      bytes += chunk?.size ?? 0;
    }
    if (bytes !== content.size) yield `the chunks of ${content.name} do not add up to its size`;
  }
}

/** What is at a path, keyed by the path's twin. */
interface Place {
  readonly path: string;
  readonly kind: 'file' | 'link' | 'directory';
}

function same(path: string, there: Place): string {
  return there.path === path
    ? `two entries are named ${path}`
    : `${path} and the ${there.kind} ${there.path} have one name where spelling makes no difference`;
}

/**
 * Every path of a tree names one thing, even where capitals and spelling make no difference; only directories have
 * something below them; and a link names a file or directory of the same tree, so that following it never leads to
 * another link.
 */
function* treeContradictions(files: readonly FileEntry[], links: readonly LinkEntry[]): Generator<string> {
  const taken = new Map<string, Place>();
  const known = new Set<string>();
  for (const [entries, kind] of [[files, 'file'] as const, [links, 'link'] as const]) {
    for (const { path } of entries) {
      for (const directory of parentsOf(path)) {
        if (known.has(directory)) continue;
        known.add(directory);
        const there = taken.get(twinOf(directory));
        if (there !== undefined && there.kind !== 'directory')
          yield `${path} lies below the ${there.kind} ${there.path}`;
        if (there !== undefined) yield same(directory, there);
        taken.set(twinOf(directory), { path: directory, kind: 'directory' });
      }
      const there = taken.get(twinOf(path));
      if (there !== undefined) yield same(path, there);
      taken.set(twinOf(path), { path, kind });
    }
  }
  for (const link of links) {
    const named = linkedPath(link);
    const there = named === null ? undefined : taken.get(twinOf(named));
    if (there === undefined || there.path !== named) yield `the link ${link.path} names nothing in the slot`;
    if (there?.kind === 'link') yield `the link ${link.path} names another link`;
  }
}
