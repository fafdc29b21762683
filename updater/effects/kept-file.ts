import { dirname } from 'node:path';
import { parseWritten } from '../../protocol/written-json.ts';
import { effectTexts } from '../words/texts.ts';
import { asideEnd, FileTooLargeError, readFile } from './durable.ts';
import { type Files, NotARegularFileError } from './files.ts';

/**
 * Reads a file that decides nothing or can be created again: a damaged file is set aside, and the run continues. A
 * damaged file (not JSON, not its shape, too large, a directory, a link, a pipe, a bad block) is renamed, so that no
 * run meets it twice, and reported once (recovery/tell-of-damage.ts). Imports only Node, because launch uses it.
 */

/** As zod defines it; launch reads by hand. */
export interface Shape<T> {
  safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false };
}

/** Errors that say something about this process, and nothing about the file. */
const notOfTheFile: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);

function systemCode(error: unknown): string | null {
  if (!(error instanceof Error && 'code' in error) || typeof error.code !== 'string') return null;
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : null;
}

/** Is this the file's own fault, which every run would meet again? */
export function isDamage(error: unknown): boolean {
  if (error instanceof SyntaxError || error instanceof FileTooLargeError) return true;
  if (error instanceof NotARegularFileError) return true;
  const code = systemCode(error);
  return code !== null && !notOfTheFile.has(code);
}

/**
 * Frees the name. A file that was set aside there before and not yet reported is removed.
 * @returns whether the name is free; false if the disk takes no change, or this user may not change it
 */
export function setAside(files: Files, path: string): boolean {
  try {
    files.removeTree(`${path}${asideEnd}`);
    files.rename(path, `${path}${asideEnd}`);
    files.syncDirectory(dirname(path));
    return true;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return files.stat(path) === null;
  }
}

/** The content of a file; null when there is none, or when it was damaged and is set aside. */
export function readKeptBytes(files: Files, path: string, bytesMax: number): Buffer | null {
  return orAside(files, path, () => readFile(files, path, bytesMax));
}

/** The content of a JSON file; null when there is none, or when it was damaged and is set aside. */
export function readKept<T>(files: Files, path: string, bytesMax: number, shape: Shape<T>): T | null {
  return orAside(files, path, () => {
    const bytes = readFile(files, path, bytesMax);
    if (bytes === null) return null;
    const parsed = shape.safeParse(parseWritten(bytes.toString('utf8')));
    if (parsed.success) return parsed.data;
    throw new SyntaxError(effectTexts.wrongShape(path));
  });
}

function orAside<T>(files: Files, path: string, read: () => T | null): T | null {
  try {
    return read();
  } catch (error) {
    // A user who may not read another user's file: that says nothing about the file.
    if (!isDamage(error) || (systemCode(error) === 'EACCES' && !isOwn(files, path))) throw error;
    setAside(files, path);
    return null;
  }
}

function isOwn(files: Files, path: string): boolean {
  const self = process.getuid?.();
  return self === 0 || files.stat(path)?.uid === self;
}
