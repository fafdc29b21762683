import {
  decodeRecord,
  encodeRecord,
  newestRecord,
  RecordError,
  recordSize,
  type StoredRecord,
} from '../../protocol/record.ts';
import type { Files } from '../effects/files.ts';
import { recordTexts } from '../words/texts.ts';

/** The two files of one record. Imports nothing that launch may not import. */
export type RecordPaths = readonly [string, string];

export class RecordWriteError extends Error {
  readonly code = 'record-not-written';
}

function readOne(files: Files, path: string): StoredRecord | null {
  if (files.stat(path)?.kind !== 'file') return null;
  const handle = files.openRead(path);
  try {
    // A file of another length is not a record; one extra byte is read to detect that.
    return decodeRecord(files.read(handle, 0, recordSize + 1));
  } finally {
    files.close(handle);
  }
}

/** The current record, or null when neither file holds a valid one. @throws RecordError `record-corrupt` */
export function readRecord(files: Files, paths: RecordPaths): StoredRecord | null {
  return newestRecord(readOne(files, paths[0]), readOne(files, paths[1])).record;
}

/** The current record; null when there is none, or two that contradict each other: in both cases nothing is known. */
export function knownRecord(files: Files, paths: RecordPaths): StoredRecord | null {
  try {
    return readRecord(files, paths);
  } catch (error) {
    if (error instanceof RecordError) return null;
    throw error;
  }
}

/** Creates both files, zeroed and synced, with synced names, so that every later write is in place. */
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
 * Writes the next record over the older of the two files, in place, syncs it and reads it back: a power cut in the
 * middle tears only the older one.
 * @param seqBefore a number that an earlier record is known to have had, when the records themselves do not say
 * @throws RecordWriteError when the bytes read back differ from those written
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
      throw new RecordWriteError(recordTexts.notKept(paths[writeTo]));
    }
  } finally {
    files.close(handle);
  }
  return next;
}

/**
 * The same, even if the files are missing, are not records or contradict each other: then they are created again. For
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
    // One of the two is erased: the other is then the record, and the erased one is written next.
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
