import type { Dirent } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isContainedPath, type LinkEntry, linkedPath, parentsOf } from '../protocol/payload.ts';
import { ImageError } from './errors.ts';

/** One file that goes into a bundle, and where it is on the build machine. */
export interface SourceFile {
  /** Relative to the slot or runtime, with `/`. */
  readonly path: string;
  readonly source: string;
  readonly executable: boolean;
}

/** What a directory holds, sorted by path. Directories are there for what is in them; empty ones are not. */
export interface SourceTree {
  readonly files: readonly SourceFile[];
  readonly links: readonly LinkEntry[];
}

/**
 * All regular files and links below a directory. Links are kept as they are, and must be relative and name a file, or a
 * directory of one, of this tree: what a link outside names would be another thing on each appliance.
 * @throws ImageError `payload-invalid` for anything else, by its name
 */
export async function treeOf(directory: string): Promise<SourceTree> {
  const files: SourceFile[] = [];
  const links: LinkEntry[] = [];
  for (const entry of await entriesBelow(directory)) {
    const source = join(entry.parentPath, entry.name);
    const path = source.slice(join(directory, '/').length);
    if (!isContainedPath(path)) throw invalid(source, 'its name is not one that every file system keeps as it is');
    if (entry.isSymbolicLink()) links.push({ path, target: await readlink(source) });
    else if (entry.isFile()) files.push({ path, source, executable: ((await stat(source)).mode & 0o100) !== 0 });
    else throw invalid(source, 'it is neither a regular file nor a directory nor a link');
  }
  const named = new Set(files.flatMap(({ path }) => [path, ...parentsOf(path)]));
  for (const link of links) {
    const target = linkedPath(link);
    if (target !== null && named.has(target)) continue;
    throw invalid(
      join(directory, link.path),
      `it is a link to ${link.target}, which is no file or directory of the payload`,
    );
  }
  return { files: files.sort(byPath), links: links.sort(byPath) };
}

/** Everything but directories. Node's own recursion would go through links. */
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
  return new ImageError('payload-invalid', `${source} can not be in a slot: ${why}`, 'remove or rename it');
}
