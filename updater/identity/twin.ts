import { parseWritten } from '../../protocol/written-json.ts';
import { replaceFile, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKeptBytes, setAside } from '../effects/kept-file.ts';

/**
 * A file that cannot be created again has a second copy beside it: written when the first was read whole, and put back
 * when the first is damaged or gone.
 */

export const twinOf = (path: string): string => `${path}.good`;
const mode = 0o600;

export interface Found<T> {
  readonly value: T;
  /** The first was damaged or gone. */
  readonly isFromTwin: boolean;
}

/**
 * @param parse null: the bytes are not valid
 * @returns null when neither is whole; a damaged copy is set aside
 */
export function readWithTwin<T>(
  files: Files,
  path: string,
  bytesMax: number,
  parse: (bytes: Buffer) => T | null,
): Found<T> | null {
  const first = readWhole(files, path, bytesMax, parse);
  const twin = readWhole(files, twinOf(path), bytesMax, parse);
  if (first !== null) {
    if (twin === null || !twin.bytes.equals(first.bytes)) copy(files, twinOf(path), first.bytes);
    return { value: first.value, isFromTwin: false };
  }
  if (twin === null) return null;
  copy(files, path, twin.bytes);
  return { value: twin.value, isFromTwin: true };
}

function readWhole<T>(
  files: Files,
  path: string,
  bytesMax: number,
  parse: (bytes: Buffer) => T | null,
): { readonly bytes: Buffer; readonly value: T } | null {
  const bytes = readKeptBytes(files, path, bytesMax);
  if (bytes === null) return null;
  const value = parse(bytes);
  if (value !== null) return { bytes, value };
  setAside(files, path);
  return null;
}

/** A disk that takes no copy keeps what it has, and the run continues. */
function copy(files: Files, path: string, bytes: Buffer): void {
  try {
    whereThereIsRoom(() => replaceFile(files, path, bytes, mode));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EROFS')) throw error;
  }
}

/** A parser of JSON by a shape, for {@link readWithTwin}. */
export function jsonBy<T>(shape: {
  safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false };
}): (bytes: Buffer) => T | null {
  return (bytes) => {
    try {
      const parsed = shape.safeParse(parseWritten(bytes.toString('utf8')));
      return parsed.success ? parsed.data : null;
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  };
}
