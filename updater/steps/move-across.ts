import { dirname, join } from 'node:path';
import { isOutOfSpace } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { User } from '../settings.ts';
import { stateBytesMaxDefault } from './snapshot.ts';
import { writeAroundHoles, writeEnd } from './write-around-holes.ts';

/**
 * Between updater/ and agent/ by rename, which needs no space. Where agent/ is a file system or a project quota of its own,
 * the system refuses that (EXDEV); there a copy is whole under its name before the original goes, and whoever was cut off
 * begins that file anew.
 */

const copyBytesAtOnce = 1024 * 1024;
/** Databases that the agent keeps aside, for people. */
const keptAside = /\.unreadable-\d+(-\w+)?$/;
/** Never given up: what never goes back (I5), and the state itself. */
const neverGoes = /^(outbox\.db|keys$|state\.db(-\w+)?$|agent\.json$)/;
/** Names of the agent's directory that are looked at for that. */
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
      files.sync(target);
    } finally {
      files.close(target);
    }
  } finally {
    files.close(source);
  }
  if (owner !== null) files.setOwner(to, owner.uid, owner.gid);
}

/** Whole under its name, and on disk, or not there. */
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
 * depend on: what is no file, or has no room here, is given up, because what was there before must come back.
 * @param mustKeep it is no trial's: rather nothing is moved
 * @throws MoveError `not-movable`; ENOSPC where it must be kept
 */
export function moveOut(files: Files, from: string, to: string, mustKeep: boolean): void {
  if (isRenamed(files, from, to)) return;
  const facts = files.stat(from);
  const isCopyable = facts?.kind === 'file' && facts.size <= stateBytesMaxDefault;
  if (mustKeep && !isCopyable) throw new MoveError('not-movable', `${from} is no file that could be copied`);
  try {
    if (isCopyable) copyAcross(files, from, to, null);
  } catch (error) {
    if (mustKeep || !(error instanceof Error && 'code' in error)) throw error;
  }
  files.removeTree(from);
}

/**
 * What goes where the agent's own file system has no room for its state.
 * @param before the names that were there before the trial; null: nobody noted them
 */
function makeRoom(files: Files, directory: string, before: readonly string[] | null): void {
  for (const name of files.listAtMost(directory, namesMax)) {
    const isOfTrial = before !== null && !before.includes(name) && !neverGoes.test(name);
    if (isOfTrial || keptAside.test(name)) files.removeTree(join(directory, name));
  }
}

/**
 * Brings the copy of a state file back into agent/. Nothing of the agent runs, so nobody exchanges a name meanwhile.
 * @param before names that were in agent/ before the trial; null: nobody noted them
 * @throws MoveError `no-room`: it is on another file system, which somebody has filled; the copy is whole and where it was
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
    const text = `${dirname(to)} is a file system of its own, and has no room for ${from}, which is whole`;
    throw new MoveError('no-room', text, { cause });
  }
}
