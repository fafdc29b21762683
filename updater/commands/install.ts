import { randomUUID } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { wordOf } from '../../protocol/wire-enum.ts';
import { type CommandLine, fail } from '../effects/command-line.ts';
import { isOutOfSpace } from '../effects/durable.ts';
import { type Handle, NotARegularFileError } from '../effects/files.ts';
import { handedIn, handedPath, isHidden, sweepHanded } from '../identity/handed.ts';
import { loadSettings } from '../identity/settings.ts';
import { uploadsQuota } from '../page/quota.ts';
import { commandTexts } from '../words/texts.ts';
import { readStatus } from './read-status.ts';
import { request } from './request.ts';

/**
 * A bundle from a file. Its bytes are read in place, except where the updater's unit has private directories
 * (PrivateTmp, ProtectHome): the command can see the file there and hands over a copy.
 */

/** What a copy leaves free on the data partition, so that records and logs can still be written. */
const marginBytes = 32 * 1024 * 1024;
/** The limit of a request. */
const pathMax = 400;
const copyBytesAtOnce = 1024 * 1024;

export async function install(line: CommandLine, typed: string): Promise<number> {
  const { files, layout } = line;
  const file = resolve(typed);
  if (file.length > pathMax) {
    const text = commandTexts.pathTooLong(file.length, pathMax);
    return fail(line, 'file-unreadable', text, commandTexts.pathTooLongNext);
  }
  let handle: Handle;
  try {
    handle = files.openRead(file);
  } catch (error) {
    return unreadable(line, file, error);
  }
  const id = randomUUID();
  const copy = handedPath(layout, id, process.pid);
  try {
    const real = files.readLink(files.pathOf(handle));
    if (![file, real].some((path) => isHidden(layout, path))) return await request(line, { kind: 'install', file });
    const refused = handOver(line, handle, file, copy);
    if (refused !== null) return refused;
  } finally {
    files.close(handle);
  }
  const asked = await request(line, { kind: 'install', file: copy, shownAs: file }, id);
  // By now the updater has moved it elsewhere; an older updater has read it in place and is done with it.
  if (isIdle(line)) sweep(line);
  return asked;
}

function unreadable(line: CommandLine, file: string, error: unknown): number {
  const isOdd = error instanceof NotARegularFileError;
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  if (code === null) throw error;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return fail(line, 'no-file', commandTexts.notThere(file), commandTexts.stickThere);
  const why = isOdd || code === 'ELOOP' ? commandTexts.notRegular : code;
  return fail(line, 'file-unreadable', commandTexts.unreadable(file, why), commandTexts.unreadableNext);
}

function sweep({ files, layout }: CommandLine): void {
  sweepHanded({ files, layout, pageUser: loadSettings(files, layout).pageUser });
}

function isIdle(line: CommandLine): boolean {
  const row = readStatus(line)?.row;
  return row !== undefined && wordOf(row) === 'idle';
}

/** @returns the exit status when it was refused, with nothing of it left; null: the copy is complete and on disk */
function handOver(line: CommandLine, from: Handle, file: string, to: string): number | null {
  const { files, layout } = line;
  const { size } = files.statHandle(from);
  const megabytes = (bytes: number) => commandTexts.megabytes((bytes / 1_000_000).toFixed(1));
  if (size > uploadsQuota.bytes) {
    const text = commandTexts.tooLarge(file, megabytes(size), megabytes(uploadsQuota.bytes));
    return fail(line, 'file-too-large', text, commandTexts.tooLargeNext);
  }
  files.makeDirectory(handedIn(layout), 0o700);
  if (isIdle(line)) sweep(line);
  const free = files.freeBytes(handedIn(layout));
  const noRoom = commandTexts.noRoom(file, megabytes(size + marginBytes), megabytes(free));
  const next = commandTexts.noRoomNext;
  if (free < size + marginBytes) return fail(line, 'no-space', noRoom, next);
  try {
    copyTo(line, from, to);
    return null;
  } catch (error) {
    files.removeTree(to);
    if (isOutOfSpace(error)) return fail(line, 'no-space', noRoom, next);
    throw error;
  }
}

function copyTo({ files }: CommandLine, from: Handle, to: string): void {
  const target = files.create(to, 0o600);
  try {
    for (let position = 0; position < uploadsQuota.bytes; ) {
      const bytes = files.read(from, position, copyBytesAtOnce);
      if (bytes.length === 0) break;
      files.write(target, bytes, position);
      position += bytes.length;
    }
    files.sync(target);
  } finally {
    files.close(target);
  }
  files.syncDirectory(dirname(to));
}
