import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { type HeldDirectory, withDirectory } from '../effects/held-directory.ts';
import type { User } from '../identity/settings.ts';
import { agentDataTexts } from '../words/texts.ts';
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

/**
 * Files that SQLite leaves beside the state files: they belong to the trial's database and must not meet the restored
 * one.
 */
const sideFiles = ['state.db-shm', 'state.db-journal'] as const;

/** Names that one file of a trial may get in quarantine, if the first one is taken. */
const quarantineNamesMax = 8;

/** One restored file: its digest in the snapshot, and on the disk now. */
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

function moveToQuarantine(
  files: Files,
  agent: HeldDirectory,
  directory: string,
  name: string,
  mustKeep: boolean,
): void {
  if (agent.stat(name) === null) return;
  for (let i = 0; i < quarantineNamesMax; i += 1) {
    const to = join(directory, i === 0 ? name : `${name}.${i}`);
    if (files.stat(to) !== null) continue;
    moveOut(files, agent.at(name), to, mustKeep);
    return;
  }
  throw new RestoreError('restored-differs', agentDataTexts.noRoomForAnother(directory, name));
}

/**
 * An odd file was never copied: it stays as it is, for a person to look at. But a log left beside a restored database
 * would be replayed into it.
 */
function stays(index: SnapshotIndex, { name, found }: SnapshotIndex['entries'][number]): boolean {
  const isDatabaseBack = index.entries.some((entry) => entry.name === databaseName && entry.found !== 'odd');
  return found === 'odd' && !(name === logName && isDatabaseBack);
}

/** Was this file already put back in a run that was cut off? Then agent/ holds the snapshot's file. */
function isRestored(files: Files, layout: Layout, tx: number, entry: SnapshotIndex['entries'][number]): boolean {
  return entry.found === 'copied' && files.stat(join(snapshotDirectory(layout, tx), entry.name)) === null;
}

/**
 * Moves the trial's state to quarantine by rename, brings the snapshot back by rename, then verifies every byte of it.
 * May be repeated after a cut at any point, as long as no agent ran in between; needs no space, unless agent/ is a file
 * system of its own.
 * @param mustKeep what is in agent/ now is not a trial's, and is never given up for lack of space
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
    return withDirectory(files, layout.agent, owner, (agent) => restore(files, layout, tx, owner, mustKeep, agent));
  } catch (error) {
    if (error instanceof MoveError) throw new RestoreError(error.code, error.message, { cause: error });
    throw error;
  }
}

function restore(
  files: Files,
  layout: Layout,
  tx: number,
  owner: User | null,
  mustKeep: boolean,
  agent: HeldDirectory,
): Restored[] {
  const index = readSnapshot(files, layout, tx);
  if (index === null) throw new RestoreError('snapshot-missing', agentDataTexts.noCompleteSnapshot(tx));
  const quarantine = quarantineDirectory(layout, tx);
  files.makeDirectory(quarantine, 0o700);
  for (const name of sideFiles) moveToQuarantine(files, agent, quarantine, name, mustKeep);
  for (const entry of index.entries) {
    if (stays(index, entry) || isRestored(files, layout, tx, entry)) continue;
    moveToQuarantine(files, agent, quarantine, entry.name, mustKeep);
  }
  // The old names must be gone for good before the new ones appear: a left-over -wal would be replayed.
  files.syncDirectory(quarantine);
  agent.sync();
  for (const entry of index.entries) {
    if (entry.found !== 'copied' || isRestored(files, layout, tx, entry)) continue;
    moveBack(files, join(snapshotDirectory(layout, tx), entry.name), agent.at(entry.name), owner, index.names);
  }
  files.syncDirectory(snapshotDirectory(layout, tx));
  agent.sync();
  return verifyHeld(files, agent, index);
}

/** @throws RestoreError `restored-differs` when agent/ is not byte for byte what the snapshot says */
export function verifyRestored(files: Files, layout: Layout, index: SnapshotIndex, owner: User | null): Restored[] {
  return withDirectory(files, layout.agent, owner, (agent) => verifyHeld(files, agent, index));
}

function verifyHeld(files: Files, agent: HeldDirectory, index: SnapshotIndex): Restored[] {
  const restored: Restored[] = [];
  for (const name of sideFiles) {
    if (agent.stat(name) !== null) {
      throw new RestoreError('restored-differs', agentDataTexts.trialFileStays(name));
    }
  }
  for (const entry of index.entries) {
    const facts = agent.stat(entry.name);
    if (entry.found !== 'copied' && !stays(index, entry) && facts !== null) {
      throw new RestoreError('restored-differs', agentDataTexts.strangerStays(entry.name));
    }
    if (entry.found !== 'copied') continue;
    const digest = facts?.kind === 'file' ? digestFile(files, agent.at(entry.name)).sha256 : null;
    if (digest !== entry.sha256) {
      throw new RestoreError('restored-differs', agentDataTexts.notOfSnapshot(entry.name));
    }
    restored.push({ name: entry.name, snapshot: entry.sha256, restored: digest });
  }
  return restored;
}

/** The first try removes what is in the way; damage shows in the second try, too. */
const restoreTries = 2;

/** @returns what is back, or why the state cannot come back */
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
      log(agentDataTexts.onceMore(error.message, error.code));
    }
  }
}
