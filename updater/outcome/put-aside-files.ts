import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { copyAcross } from '../agent-data/move-across.ts';
import { digestFile, putAsideDirectory } from '../agent-data/snapshot.ts';
import type { Files } from '../effects/files.ts';
import { withDirectory } from '../effects/held-directory.ts';
import { outcomeTexts } from '../words/texts.ts';
import { isPutAside } from './kept-trials.ts';

/** Data that a person put aside for older data, for people who want to copy it. */

export interface PutAside {
  /** The transaction whose older data replaced it. */
  readonly tx: number;
  readonly path: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** The oldest first. Anything but a file is left out: it cannot be copied. */
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
 * Copies it into a directory that is empty or does not exist, and reads every byte back. The kept data stays as it is;
 * may be repeated into another directory.
 * @throws PutAsideError, and errors of the disk
 */
export function copyPutAside(files: Files, { path, files: found }: PutAside, directory: string): void {
  const facts = files.stat(directory);
  if (facts !== null && (facts.kind !== 'directory' || files.listAtMost(directory, 1).length > 0))
    throw new PutAsideError('directory-taken', outcomeTexts.notEmpty(directory));
  files.makeDirectory(directory, 0o700);
  // The person who named the directory knows its owner and what is above it; the held directory keeps others from
  // redirecting the copy.
  withDirectory(files, directory, null, (held) => {
    for (const { name } of found) copyAcross(files, join(path, name), held.at(name), null);
    for (const { name } of found) {
      const [kept, copied] = [join(path, name), held.at(name)].map((at) => digestFile(files, at).sha256);
      if (kept !== copied)
        throw new PutAsideError('copy-differs', outcomeTexts.notWhatWasPutAside(join(directory, name)));
    }
  });
}
