import {
  decodeRecord,
  encodeRecord,
  newestRecord,
  RecordError,
  recordSize,
  type StoredRecord,
} from '../protocol/record.ts';
import type { Files } from './effects/files.ts';

/** The two files of one record. Imports nothing that launch may not import. */
export type RecordPaths = readonly [string, string];

export class RecordWriteError extends Error {
  readonly code = 'record-not-written';
}

function readOne(files: Files, path: string): StoredRecord | null {
  if (files.stat(path)?.kind !== 'file') return null;
  const handle = files.openRead(path);
  try {
    // A file of another length is no record; one byte more is read to tell.
    return decodeRecord(files.read(handle, 0, recordSize + 1));
  } finally {
    files.close(handle);
  }
}

/** The current record, or null when neither file holds a valid one. @throws RecordError `record-corrupt` */
export function readRecord(files: Files, paths: RecordPaths): StoredRecord | null {
  return newestRecord(readOne(files, paths[0]), readOne(files, paths[1])).record;
}

/** The current record; null when there is none, or two that contradict each other: either way nothing is known. */
export function knownRecord(files: Files, paths: RecordPaths): StoredRecord | null {
  try {
    return readRecord(files, paths);
  } catch (error) {
    if (error instanceof RecordError) return null;
    throw error;
  }
}

/** Makes both files, zeroed, synced and with synced names, so that every later write is in place. */
export function createRecordFiles(files: Files, paths: RecordPaths, directory: string): void {
  for (const path of paths) {
    if (files.stat(path)?.size === recordSize) continue;
    files.unlink(path);
    const handle = files.create(path, 0o600);
    try {
      files.write(handle, Buffer.alloc(recordSize), 0);
      files.sync(handle);
    } finally {
      files.close(handle);
    }
  }
  files.syncDirectory(directory);
}

/**
 * Writes the next record over the older of the two files, in place, syncs it and reads it back: a cut in the middle
 * tears only the older one.
 * @param seqBefore a number that an earlier record is known to have had, where the records themselves do not tell
 * @throws RecordWriteError when what is read back is not what was written
 */
export function writeRecord(
  files: Files,
  paths: RecordPaths,
  schema: number,
  body: unknown,
  seqBefore = 0,
): StoredRecord {
  const { record, writeTo } = newestRecord(readOne(files, paths[0]), readOne(files, paths[1]));
  const next: StoredRecord = { seq: Math.max(record?.seq ?? 0, seqBefore) + 1, schema, body };
  const bytes = encodeRecord(next);
  const handle = files.openWrite(paths[writeTo]);
  try {
    files.write(handle, bytes, 0);
    files.sync(handle);
    if (!files.read(handle, 0, recordSize).equals(bytes)) {
      throw new RecordWriteError(`${paths[writeTo]} does not read back as it was written`);
    }
  } finally {
    files.close(handle);
  }
  return next;
}

/**
 * The same, also where the files are missing, are no records or contradict each other: then they begin anew. For
 * records whose loss does no harm, and that must be writable for ever.
 */
export function rewriteRecord(
  files: Files,
  paths: RecordPaths,
  directory: string,
  schema: number,
  body: unknown,
  seqBefore = 0,
): StoredRecord {
  const whole = paths.every((path) => files.stat(path)?.kind === 'file' && files.stat(path)?.size === recordSize);
  if (!whole) {
    for (const path of paths) if (files.stat(path)?.kind !== 'file') files.removeTree(path);
    createRecordFiles(files, paths, directory);
  } else if (contradicts(files, paths)) {
    // One of them goes: the other is then the record, and the older one is written over.
    const handle = files.openWrite(paths[1]);
    try {
      files.write(handle, Buffer.alloc(recordSize), 0);
      files.sync(handle);
    } finally {
      files.close(handle);
    }
  }
  return writeRecord(files, paths, schema, body, seqBefore);
}

function contradicts(files: Files, paths: RecordPaths): boolean {
  try {
    readRecord(files, paths);
    return false;
  } catch (error) {
    if (error instanceof RecordError) return true;
    throw error;
  }
}
