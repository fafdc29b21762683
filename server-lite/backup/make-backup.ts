import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import Database from 'better-sqlite3';
import { create } from 'tar';
import { syncDirectory } from '../keys.ts';
import { requireOwnFiles } from '../own-files.ts';
import { requireData, StartError } from '../start-error.ts';
import { isDamaged } from '../store/database.ts';
import { releasesOf } from '../store/releases.ts';
import { settingsOf } from '../store/settings.ts';
import { requireContent } from '../store/unread-database.ts';
import { backupTexts } from '../texts.ts';
import { type BackupContents, backupDirectories, backupPathsBelow, contentsName, fileDigest } from './contents.ts';

export interface Backup {
  readonly file: string;
  readonly bytes: number;
  readonly contents: BackupContents;
}

export interface BackupOptions {
  /** The server's data. */
  readonly data: string;
  readonly out: string;
  /** Overwrites an existing file. */
  readonly replace: boolean;
  readonly version: string;
  readonly nowMs: number;
}

/**
 * Writes a backup of a server's data, which may be in use: one file that only its owner can read, because the server's
 * keys are in it. If `out` is a directory, the file in it is named after the time.
 * @throws StartError `no-data`, `data-not-accessible`, `backup-exists`, `backup-failed`
 */
export async function makeBackup({ data, out, replace, version, nowMs }: BackupOptions): Promise<Backup> {
  requireData(data, constants.R_OK);
  requireOwnFiles(data);
  requireContent(join(data, 'server.db'));
  const isDirectory = existsSync(out) && statSync(out).isDirectory();
  const name = `holdfast-server-${new Date(nowMs).toISOString().slice(0, 19).replaceAll(':', '')}Z.tar`;
  const file = isDirectory ? join(out, name) : out;
  refuseInside(data, file);
  if (existsSync(file) && !replace) {
    throw new StartError('backup-exists', backupTexts.exists(file), backupTexts.existsNext);
  }
  const stage = await mkdtemp(join(dirname(file), '.holdfast-backup-'));
  try {
    const contents = await gather(data, stage, version, nowMs);
    const partial = join(stage, '.partial');
    // Private from the beginning: others must not be able to read the keys for a moment.
    closeSync(openSync(partial, 'wx', 0o600));
    await create({ file: partial, cwd: stage, portable: true, strict: true }, [
      contentsName,
      ...Object.keys(contents.files),
    ]);
    sync(partial);
    renameSync(partial, file);
    syncDirectory(dirname(file));
    return { file, bytes: statSync(file).size, contents };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** It would be lost with what it is a backup of, and a restore sets the directory aside. */
function refuseInside(data: string, file: string): void {
  const below = relative(realpathSync(data), realpathSync(dirname(file)));
  if (below === '..' || below.startsWith(`..${sep}`)) return;
  throw new StartError('backup-inside-data', backupTexts.insideData(file, data), backupTexts.insideDataNext);
}

async function gather(data: string, stage: string, version: string, nowMs: number): Promise<BackupContents> {
  const { epoch, releases } = await copyDatabase(join(data, 'server.db'), join(stage, 'server.db'));
  for (const directory of backupDirectories) await mkdir(join(stage, directory), { recursive: true, mode: 0o700 });
  for (const path of await backupPathsBelow(data)) {
    if (path !== 'server.db') await copyFile(join(data, path), join(stage, path));
  }
  const files: Record<string, string> = {};
  for (const path of await backupPathsBelow(stage)) files[path] = await fileDigest(join(stage, path));
  const contents: BackupContents = { v: 1, madeAtMs: nowMs, version, epoch, files, releases };
  writeFileSync(join(stage, contentsName), `${JSON.stringify(contents, null, 2)}\n`, { mode: 0o600 });
  return contents;
}

/** SQLite's online backup, in one step: it neither blocks the server nor begins anew with each of its writes. */
async function copyDatabase(from: string, to: string) {
  try {
    const source = new Database(from, { fileMustExist: true });
    try {
      await source.backup(to, { progress: ({ totalPages }) => Math.max(totalPages, 1) });
    } finally {
      source.close();
    }
    const copy = new Database(to);
    try {
      const problem = copy.pragma('quick_check(1)', { simple: true });
      if (problem !== 'ok') throw damaged(from, String(problem));
      // A single file, whatever the server keeps beside it.
      copy.pragma('journal_mode = DELETE');
      const epoch = settingsOf(copy).read('epoch') ?? '';
      const releases = releasesOf(copy).list();
      return {
        epoch,
        releases: releases.map(({ component, version, manifest, bundle_sha256: bundleSha256 }) => {
          return { component, version, manifest, bundleSha256 };
        }),
      };
    } finally {
      copy.close();
    }
  } catch (cause) {
    if (!isDamaged(cause)) throw cause;
    throw damaged(from, cause instanceof Error ? cause.message : undefined, cause);
  }
}

function damaged(path: string, why: string = backupTexts.unreadable, cause?: unknown): StartError {
  return new StartError('backup-failed', backupTexts.dataDamaged(path, why), backupTexts.dataDamagedNext, { cause });
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
