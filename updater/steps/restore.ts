import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import type { User } from '../settings.ts';
import { MoveError, moveBack, moveOut } from './move-across.ts';
import {
  databaseName,
  digestFile,
  logName,
  quarantineDirectory,
  readSnapshot,
  type SnapshotIndex,
  snapshotDirectory,
} from './snapshot.ts';

/** Beside the state files, what SQLite leaves: it belongs to the trial's database and must not meet the restored one. */
const sideFiles = ['state.db-shm', 'state.db-journal'] as const;

/** Names that one file of a trial may get in quarantine, when somebody filled the first one. */
const quarantineNamesMax = 8;

/** One file that is back: its digest in the snapshot, and on the disk now. */
export interface Restored {
  readonly name: string;
  readonly snapshot: string;
  readonly restored: string;
}

export class RestoreError extends Error {
  readonly code: 'snapshot-missing' | 'restored-differs' | MoveError['code'];
  constructor(code: RestoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

function moveToQuarantine(files: Files, layout: Layout, tx: number, name: string, mustKeep: boolean): void {
  const from = join(layout.agent, name);
  if (files.stat(from) === null) return;
  const directory = quarantineDirectory(layout, tx);
  for (let i = 0; i < quarantineNamesMax; i += 1) {
    const to = join(directory, i === 0 ? name : `${name}.${i}`);
    if (files.stat(to) !== null) continue;
    moveOut(files, from, to, mustKeep);
    return;
  }
  throw new RestoreError('restored-differs', `${directory} has no room for another ${name}`);
}

/**
 * What was odd was never copied: it stays as it is, for a person to look at. But a log that stayed beside a database
 * that comes back would be replayed into it.
 */
function stays(index: SnapshotIndex, { name, found }: SnapshotIndex['entries'][number]): boolean {
  const isDatabaseBack = index.entries.some((entry) => entry.name === databaseName && entry.found !== 'odd');
  return found === 'odd' && !(name === logName && isDatabaseBack);
}

/** Was this file put back already, in a run that was cut off? Then what is in agent/ is the snapshot's. */
function isRestored(files: Files, layout: Layout, tx: number, entry: SnapshotIndex['entries'][number]): boolean {
  return entry.found === 'copied' && files.stat(join(snapshotDirectory(layout, tx), entry.name)) === null;
}

/**
 * The trial's state goes to quarantine by rename, the snapshot comes back by rename, then every byte of it is verified.
 * May be repeated after a cut at any point, as long as no agent ran in between; needs no space, unless agent/ is a file
 * system of its own.
 * @param mustKeep what is in agent/ now is no trial's, and is never given up for want of space
 * @throws RestoreError
 */
export function restoreSnapshot(
  files: Files,
  layout: Layout,
  tx: number,
  owner: User | null,
  mustKeep = false,
): Restored[] {
  try {
    return restore(files, layout, tx, owner, mustKeep);
  } catch (error) {
    if (error instanceof MoveError) throw new RestoreError(error.code, error.message, { cause: error });
    throw error;
  }
}

function restore(files: Files, layout: Layout, tx: number, owner: User | null, mustKeep: boolean): Restored[] {
  const index = readSnapshot(files, layout, tx);
  if (index === null) throw new RestoreError('snapshot-missing', `there is no whole snapshot of transaction ${tx}`);
  files.makeDirectory(quarantineDirectory(layout, tx), 0o700);
  for (const name of sideFiles) moveToQuarantine(files, layout, tx, name, mustKeep);
  for (const entry of index.entries) {
    if (stays(index, entry) || isRestored(files, layout, tx, entry)) continue;
    moveToQuarantine(files, layout, tx, entry.name, mustKeep);
  }
  // The old names must be gone for good before the new ones appear: a left-over -wal would be replayed.
  files.syncDirectory(quarantineDirectory(layout, tx));
  files.syncDirectory(layout.agent);
  for (const entry of index.entries) {
    if (entry.found !== 'copied' || isRestored(files, layout, tx, entry)) continue;
    moveBack(
      files,
      join(snapshotDirectory(layout, tx), entry.name),
      join(layout.agent, entry.name),
      owner,
      index.names,
    );
  }
  files.syncDirectory(snapshotDirectory(layout, tx));
  files.syncDirectory(layout.agent);
  return verifyRestored(files, layout, index);
}

/** @throws RestoreError `restored-differs` when agent/ is not byte for byte what the snapshot says */
export function verifyRestored(files: Files, layout: Layout, index: SnapshotIndex): Restored[] {
  const restored: Restored[] = [];
  for (const name of sideFiles) {
    if (files.stat(join(layout.agent, name)) !== null) {
      throw new RestoreError('restored-differs', `${name} of the trial is still beside the restored state`);
    }
  }
  for (const entry of index.entries) {
    const path = join(layout.agent, entry.name);
    const facts = files.stat(path);
    if (entry.found !== 'copied' && !stays(index, entry) && facts !== null) {
      throw new RestoreError(
        'restored-differs',
        `${entry.name} is still there after the trial, and does not belong here`,
      );
    }
    if (entry.found !== 'copied') continue;
    const digest = facts?.kind === 'file' ? digestFile(files, path).sha256 : null;
    if (digest !== entry.sha256) {
      throw new RestoreError('restored-differs', `${entry.name} is not what the snapshot holds`);
    }
    restored.push({ name: entry.name, snapshot: entry.sha256, restored: digest });
  }
  return restored;
}

/** What lies in the way is taken away by the first try; what is damaged is so in the second one too. */
const restoreTries = 2;

/** @returns what is back, or why the state can not come back */
export function restoreTwice(
  files: Files,
  layout: Layout,
  tx: number,
  owner: User | null,
  log: (line: string) => void,
  mustKeep = false,
): readonly Restored[] | RestoreError {
  for (let tries = 1; ; tries += 1) {
    try {
      return restoreSnapshot(files, layout, tx, owner, mustKeep);
    } catch (error) {
      if (!(error instanceof RestoreError)) throw error;
      if (tries === restoreTries) return error;
      log(`${error.message} (${error.code}); once more`);
    }
  }
}
