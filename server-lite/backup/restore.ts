import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { extract } from 'tar';
import { metadataVersionStepMax } from '../../protocol/bounded-step.ts';
import { bundleName } from '../../protocol/manifest.ts';
import { privateKeyFromPem } from '../../protocol/trust/ed25519.ts';
import { parseSnapshot, parseTimestamp } from '../../protocol/trust/tuf-metadata.ts';
import { makePrivate } from '../closed-directory.ts';
import { syncDirectory } from '../keys.ts';
import { restoredName } from '../notices.ts';
import { metadataBoardOf, type OnlineVersions } from '../release/metadata-board.ts';
import { openShelf } from '../release/shelf.ts';
import { StartError } from '../start-error.ts';
import { appliancesOf } from '../store/appliances.ts';
import { claimsOf } from '../store/claims.ts';
import { type Db, openDatabase } from '../store/database.ts';
import { lockData } from '../store/directory-lock.ts';
import { rolloutsOf } from '../store/rollouts.ts';
import { settingsOf } from '../store/settings.ts';
import { readStored } from '../store/stored-json.ts';
import { backupTexts } from '../texts.ts';
import {
  type BackupContents,
  backupDirectories,
  backupFiles,
  backupPathsBelow,
  contentsName,
  contentsShape,
  fileDigest,
  isBackupPath,
} from './contents.ts';

/** Exists while a restore changes the data directory; no server starts on it. */
export const restoringName = 'restoring';

export interface Restored {
  readonly madeAtMs: number;
  readonly epoch: string;
  /** Releases whose bundle is missing here, as `app 1.0.52`: each must be published again. */
  readonly missingBundles: readonly string[];
  /** What was in force when the backup was made, and is in force again, whatever was done about it since. */
  readonly again: InForceAgain;
  /** Where the previous data is kept; null: there was none. */
  readonly keptAs: string | null;
}

export interface InForceAgain {
  /** Rollouts that continue, as `1 (app 1.0.52, running)`. */
  readonly rollouts: readonly string[];
  /** Names of the appliances with open claim codes. */
  readonly claims: readonly string[];
  /** Names of the appliances in service. */
  readonly appliances: readonly string[];
}

export interface RestoreOptions {
  readonly data: string;
  readonly from: string;
  /** Existing data in the directory is set aside. */
  readonly replace: boolean;
  readonly nowMs: number;
}

/**
 * Replaces a server's data by a backup. All of it is verified before anything is moved. Appliances spoke to another
 * database than the one that comes back: so it gets a new epoch, which makes them offer their events again, and it
 * signs its metadata above every version that they may have seen. Counters need nothing: a higher one is always taken.
 * @throws StartError
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { data, from, replace, nowMs } = options;
  requireFile(from);
  const isNew = !existsSync(data);
  makePrivate(data);
  const lock = lockData(data);
  try {
    const occupied = placesOf(data);
    if (occupied.length > 0 && !replace && !existsSync(join(data, restoringName))) {
      const next = backupTexts.notEmptyNext;
      throw new StartError('data-directory-not-empty', backupTexts.notEmpty(data, occupied[0]), next);
    }
    for (const name of readdirSync(data).filter((one) => one.startsWith('.restore-'))) {
      await rm(join(data, name), { recursive: true });
    }
    const stage = await mkdtemp(join(data, '.restore-'));
    try {
      const contents = await unpack(from, stage);
      const { epoch, again } = renew(from, stage, contents, nowMs);
      const keptAs = putInPlace(data, stage, nowMs);
      makePrivate(data);
      return { madeAtMs: contents.madeAtMs, epoch, again, keptAs, missingBundles: missingBundles(data, contents) };
    } finally {
      await rm(stage, { recursive: true });
    }
  } catch (error) {
    // If there was no directory before, none is left.
    if (isNew && placesOf(data).length === 0) await rm(data, { recursive: true });
    throw error;
  } finally {
    lock.release();
  }
}

function requireFile(from: string): void {
  const facts = statSync(from, { throwIfNoEntry: false });
  if (facts?.isFile() === true) return;
  const why = facts === undefined ? backupTexts.isNotThere : backupTexts.isNoFile;
  throw new StartError('backup-not-found', backupTexts.notFound(from, why), backupTexts.notFoundNext);
}

/** Which parts of a server's data are in a directory. */
function placesOf(data: string): string[] {
  const names = [...backupFiles, 'server.db-wal', 'server.db-shm', ...backupDirectories];
  return names.filter((name) => {
    const path = join(data, name);
    const isDirectory = backupDirectories.some((one) => one === name);
    return existsSync(path) && (!isDirectory || readdirSync(path).length > 0);
  });
}

function damaged(from: string, why: string, cause?: unknown): StartError {
  return new StartError('backup-damaged', backupTexts.damaged(from, why), backupTexts.damagedNext, { cause });
}

function noBackup(from: string, cause?: unknown): StartError {
  const message = backupTexts.notFound(from, backupTexts.isNoBackup);
  return new StartError('backup-not-found', message, backupTexts.notFoundNext, { cause });
}

async function unpack(from: string, stage: string): Promise<BackupContents> {
  const foreign: string[] = [];
  try {
    await extract({
      file: from,
      cwd: stage,
      strict: true,
      filter: (path, entry) => {
        const isOurs = isBackupPath(path) && 'type' in entry && entry.type === 'File';
        if (!isOurs) foreign.push(path);
        return isOurs;
      },
    });
  } catch (cause) {
    if (readdirSync(stage).length === 0) throw noBackup(from, cause);
    throw damaged(from, cause instanceof Error ? cause.message : String(cause), cause);
  }
  // Some file, or some other archive: another backup of the same kind would not help.
  if (readdirSync(stage).length === 0) throw noBackup(from);
  if (foreign.length > 0) throw damaged(from, backupTexts.foreignFile(foreign[0]));
  for (const directory of backupDirectories) mkdirSync(join(stage, directory), { recursive: true, mode: 0o700 });
  const contents = existsSync(join(stage, contentsName))
    ? readStored(contentsShape, readFileSync(join(stage, contentsName), 'utf8'))
    : null;
  if (contents?.outcome !== 'read') throw damaged(from, backupTexts.contentsUnreadable(contentsName));
  await verify(from, stage, contents.value);
  return contents.value;
}

async function verify(from: string, stage: string, { files }: BackupContents): Promise<void> {
  const there = await backupPathsBelow(stage);
  const wrong = [...new Set([...there, ...Object.keys(files)])].filter(
    (path) => !(path in files && there.includes(path)),
  );
  if (wrong.length > 0) throw damaged(from, backupTexts.fileMissing(wrong[0]));
  for (const path of there) {
    if ((await fileDigest(join(stage, path))) !== files[path]) throw damaged(from, backupTexts.otherFile(path));
  }
  for (const name of readdirSync(join(stage, 'keys')).filter((each) => each.endsWith('.pem'))) {
    try {
      privateKeyFromPem(readFileSync(join(stage, 'keys', name), 'utf8'));
    } catch (cause) {
      throw damaged(from, backupTexts.noPrivateKey(name), cause);
    }
    chmodSync(join(stage, 'keys', name), 0o600);
  }
}

/** Prepares the saved database for its new life. */
function renew(from: string, stage: string, { madeAtMs }: BackupContents, nowMs: number) {
  const db = openDatabase(join(stage, 'server.db'));
  try {
    const problem = db.pragma('integrity_check(1)', { simple: true });
    if (problem !== 'ok') throw damaged(from, backupTexts.databaseDamaged(String(problem)));
    const settings = settingsOf(db);
    const epoch = randomUUID();
    db.transaction(() => {
      settings.write('epoch', epoch);
      settings.write(restoredName, JSON.stringify({ atMs: nowMs, madeAtMs }));
      rolloutsOf(db).forgetOffers();
      const board = metadataBoardOf(settings);
      const { snapshot, timestamp } = highest(board.versions(), signedOnShelf(stage));
      const above = { snapshot: snapshot + metadataVersionStepMax, timestamp: timestamp + metadataVersionStepMax };
      board.raise(above, Number.MAX_SAFE_INTEGER);
    })();
    const again = inForce(db, nowMs);
    db.pragma('wal_checkpoint(TRUNCATE)');
    return { epoch, again };
  } finally {
    db.close();
  }
}

function inForce(db: Db, nowMs: number): InForceAgain {
  const rollouts = rolloutsOf(db)
    .list()
    .filter(({ state }) => state === 'running' || state === 'paused')
    .map(({ id, component, version, state }) => `${id} (${component} ${version}, ${state})`);
  const claims = claimsOf(db)
    .open(nowMs)
    .map(({ name }) => name);
  const inService = appliancesOf(db)
    .list()
    .filter((row) => row.retired_at === null);
  return { rollouts, claims, appliances: inService.map(({ name }) => name) };
}

function signedOnShelf(stage: string): OnlineVersions {
  const online = openShelf(join(stage, 'releases')).online();
  if (online === null) return { snapshot: 0, timestamp: 0 };
  return { snapshot: parseSnapshot(online.snapshot).version, timestamp: parseTimestamp(online.timestamp).version };
}

function highest(a: OnlineVersions, b: OnlineVersions): OnlineVersions {
  return { snapshot: Math.max(a.snapshot, b.snapshot), timestamp: Math.max(a.timestamp, b.timestamp) };
}

/** By renames only. After an interruption no server starts on the directory, and the same restore continues. */
function putInPlace(data: string, stage: string, nowMs: number): string | null {
  const restoring = join(data, restoringName);
  mkdirSync(restoring, { recursive: true, mode: 0o700 });
  syncDirectory(data);
  const occupied = placesOf(data);
  const kept = join(
    data,
    `before-restore-${new Date(nowMs).toISOString().slice(0, 19).replaceAll(':', '')}Z-${randomUUID().slice(0, 4)}`,
  );
  for (const name of occupied) {
    mkdirSync(join(kept, name, '..'), { recursive: true, mode: 0o700 });
    renameSync(join(data, name), join(kept, name));
  }
  for (const name of [...backupDirectories, ...backupFiles.toReversed()]) {
    mkdirSync(join(data, name, '..'), { recursive: true, mode: 0o700 });
    if (existsSync(join(stage, name))) renameSync(join(stage, name), join(data, name));
  }
  for (const name of ['.', 'releases', ...backupDirectories]) syncDirectory(join(data, name));
  renameSync(restoring, join(stage, restoringName));
  syncDirectory(data);
  return occupied.length === 0 ? null : kept;
}

function missingBundles(data: string, { releases }: BackupContents): string[] {
  return releases
    .filter(({ component, version }) => !existsSync(join(data, 'releases', 'bundles', bundleName(component, version))))
    .map(({ component, version }) => `${component} ${version}`);
}
