import type { Dirent } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isContainedPath, type LinkEntry, linkedPath, parentsOf } from '../protocol/payload.ts';
import { ImageError } from './errors.ts';
import { buildTexts } from './texts.ts';

/** A file that goes into a bundle, and where it is on the build machine. */
export interface SourceFile {
  /** Relative to the slot or runtime, with `/`. */
  readonly path: string;
  readonly source: string;
  readonly executable: boolean;
}

/** The contents of a directory, sorted by path. Directories exist only for their files; empty ones are left out. */
export interface SourceTree {
  readonly files: readonly SourceFile[];
  readonly links: readonly LinkEntry[];
}

/**
 * All regular files and links below a directory. Links are kept as they are. They must be relative and name a file of
 * this tree, or a directory with one: a link to the outside would mean something else on each appliance.
 * @throws ImageError `payload-invalid` for anything else, with its name
 */
export async function treeOf(directory: string): Promise<SourceTree> {
  const files: SourceFile[] = [];
  const links: LinkEntry[] = [];
  for (const entry of await entriesBelow(directory)) {
    const source = join(entry.parentPath, entry.name);
    const path = source.slice(join(directory, '/').length);
    if (!isContainedPath(path)) throw invalid(source, buildTexts.nameNotKept);
    if (entry.isSymbolicLink()) links.push({ path, target: await readlink(source) });
    else if (entry.isFile()) files.push({ path, source, executable: ((await stat(source)).mode & 0o100) !== 0 });
    else throw invalid(source, buildTexts.noFile);
  }
  const named = new Set(files.flatMap(({ path }) => [path, ...parentsOf(path)]));
  for (const link of links) {
    const target = linkedPath(link);
    if (target !== null && named.has(target)) continue;
    throw invalid(join(directory, link.path), buildTexts.linkLeadsOut(link.target));
  }
  return { files: files.sort(byPath), links: links.sort(byPath) };
}

/** Everything except directories. Node's own recursion would follow links. */
async function entriesBelow(directory: string): Promise<Dirent[]> {
  const found: Dirent[] = [];
  const pending = [directory];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true })) {
      if (entry.isDirectory()) pending.push(join(next, entry.name));
      else found.push(entry);
    }
  }
  return found;
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

function invalid(source: string, why: string): ImageError {
  return new ImageError('payload-invalid', buildTexts.notInSlot(source, why), buildTexts.notInSlotNext);
}
