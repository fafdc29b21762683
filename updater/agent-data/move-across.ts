import { dirname, join } from 'node:path';
import { isOutOfSpace } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { User } from '../identity/settings.ts';
import { agentDataTexts } from '../words/texts.ts';
import { stateBytesMaxDefault } from './snapshot.ts';
import { writeAroundHoles, writeEnd } from './write-around-holes.ts';

/**
 * Moves between updater/ and agent/ by rename, which needs no space. If agent/ is a file system or a project quota of
 * its own, the system refuses that (EXDEV); then a complete copy exists under its name before the original is removed,
 * and an interrupted run starts that file again.
 */

const copyBytesAtOnce = 1024 * 1024;
/** Databases that the agent keeps aside for people. */
const keptAside = /\.unreadable-\d+(-\w+)?$/;
/** Never given up: what never goes back (I5), and the state itself. */
const neverGoes = /^(outbox\.db|keys$|state\.db(-\w+)?$|agent\.json$)/;
/** Names in the agent's directory that are checked for that. */
const namesMax = 20_000;

export class MoveError extends Error {
  readonly code: 'not-movable' | 'no-room';
  constructor(code: MoveError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** @returns false: it is on another file system, and nothing was moved */
function isRenamed(files: Files, from: string, to: string): boolean {
  try {
    files.rename(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EXDEV') return false;
    throw error;
  }
}

function copyBytes(files: Files, from: string, to: string, owner: User | null): void {
  const source = files.openRead(from);
  try {
    const target = files.create(to, 0o600);
    try {
      let size = 0;
      for (;;) {
        const bytes = files.read(source, size, copyBytesAtOnce);
        if (bytes.length === 0) break;
        writeAroundHoles(files, target, bytes, size);
        size += bytes.length;
      }
      writeEnd(files, target, size);
      if (owner !== null) files.setOwnerOf(target, owner.uid, owner.gid);
      files.sync(target);
    } finally {
      files.close(target);
    }
  } finally {
    files.close(source);
  }
}

/** The copy is complete under its name and on disk, or it is not there. */
export function copyAcross(files: Files, from: string, to: string, owner: User | null): void {
  const partial = `${to}.partial`;
  files.removeTree(partial);
  try {
    copyBytes(files, from, partial, owner);
  } catch (error) {
    files.removeTree(partial);
    throw error;
  }
  files.rename(partial, to);
  files.syncDirectory(dirname(to));
}

/**
 * Takes what a trial left out of agent/, for people to look at. Across file systems that takes space, which nothing may
 * depend on: what is not a file, or has no room here, is given up, because the earlier state must come back.
 * @param mustKeep it is not a trial's: if it cannot be kept, nothing is moved
 * @throws MoveError `not-movable`; ENOSPC if it must be kept
 */
export function moveOut(files: Files, from: string, to: string, mustKeep: boolean): void {
  if (isRenamed(files, from, to)) return;
  const facts = files.stat(from);
  const isCopyable = facts?.kind === 'file' && facts.size <= stateBytesMaxDefault;
  if (mustKeep && !isCopyable) throw new MoveError('not-movable', agentDataTexts.notCopiable(from));
  try {
    if (isCopyable) copyAcross(files, from, to, null);
  } catch (error) {
    if (mustKeep || !(error instanceof Error && 'code' in error)) throw error;
  }
  files.removeTree(from);
}

/**
 * Removes what may go when the agent's own file system has no room for its state.
 * @param before the names that were there before the trial; null: they were not recorded
 */
function makeRoom(files: Files, directory: string, before: readonly string[] | null): void {
  for (const name of files.listAtMost(directory, namesMax)) {
    const isOfTrial = before !== null && !before.includes(name) && !neverGoes.test(name);
    if (isOfTrial || keptAside.test(name)) files.removeTree(join(directory, name));
  }
}

/**
 * Brings the copy of a state file back into agent/. The agent does not run, so nothing replaces a name meanwhile.
 * @param before names that were in agent/ before the trial; null: they were not recorded
 * @throws MoveError `no-room`: agent/ is another file system, and it is full; the copy is whole and where it was
 */
export function moveBack(
  files: Files,
  from: string,
  to: string,
  owner: User | null,
  before: readonly string[] | null,
): void {
  if (owner !== null) files.setOwner(from, owner.uid, owner.gid);
  if (isRenamed(files, from, to)) return;
  try {
    copyAcross(files, from, to, owner);
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
    makeRoom(files, dirname(to), before);
    copyOrNoRoom(files, from, to, owner);
  }
  files.unlink(from);
}

function copyOrNoRoom(files: Files, from: string, to: string, owner: User | null): void {
  try {
    copyAcross(files, from, to, owner);
  } catch (cause) {
    if (!isOutOfSpace(cause)) throw cause;
    const text = agentDataTexts.noRoomAcross(dirname(to), from);
    throw new MoveError('no-room', text, { cause });
  }
}
