import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isContainedPath } from '../protocol/payload.ts';
import { ImageError } from './errors.ts';

/** One file that goes into a bundle, and where it is on the build machine. */
export interface SourceFile {
  /** Relative to the slot or runtime, with `/`. */
  readonly path: string;
  readonly source: string;
  readonly executable: boolean;
}

/** All files below a directory, sorted by path. Links and devices are refused: a slot holds regular files only. */
export async function treeOf(directory: string): Promise<readonly SourceFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files: SourceFile[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const source = join(entry.parentPath, entry.name);
    const path = source.slice(join(directory, '/').length);
    if (!entry.isFile() || !isContainedPath(path)) {
      throw new ImageError(
        'payload-invalid',
        `${source} can not be in a slot: only regular files with plain names can`,
        'remove or rename it',
      );
    }
    const { mode } = await stat(source);
    files.push({ path, source, executable: (mode & 0o100) !== 0 });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}
