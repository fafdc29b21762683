import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { isPutAside } from './kept-trials.ts';
import { copyAcross } from './move-across.ts';
import { digestFile, putAsideDirectory } from './snapshot.ts';

/** Data that a person put aside for older data, for whoever wants it out of there. */

export interface PutAside {
  /** The transaction whose older data took its place. */
  readonly tx: number;
  readonly path: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** The oldest first. What is no file is not told of: nobody can copy it. */
export function putAsideOf(files: Files, layout: Layout): PutAside[] {
  return files
    .list(layout.snapshots)
    .filter((name) => isPutAside(files, layout, name))
    .map(Number)
    .sort((a, b) => a - b)
    .map((tx) => {
      const path = putAsideDirectory(layout, tx);
      const found = files.list(path).flatMap((name) => {
        const facts = files.stat(join(path, name));
        return facts?.kind === 'file' ? [{ name, bytes: facts.size }] : [];
      });
      return { tx, path, files: found };
    });
}

export class PutAsideError extends Error {
  readonly code: 'directory-taken' | 'copy-differs';
  constructor(code: PutAsideError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Copies it into a directory that is empty or not there, and reads every byte back. What is here stays as it is; may be
 * repeated into another directory.
 * @throws PutAsideError, and what the disk says
 */
export function copyPutAside(files: Files, { path, files: found }: PutAside, directory: string): void {
  const facts = files.stat(directory);
  if (facts !== null && (facts.kind !== 'directory' || files.listAtMost(directory, 1).length > 0))
    throw new PutAsideError('directory-taken', `${directory} is there already, and is no empty directory`);
  files.makeDirectory(directory, 0o700);
  for (const { name } of found) copyAcross(files, join(path, name), join(directory, name), null);
  for (const { name } of found) {
    const [kept, copied] = [path, directory].map((at) => digestFile(files, join(at, name)).sha256);
    if (kept !== copied) throw new PutAsideError('copy-differs', `${join(directory, name)} is not what was put aside`);
  }
}
