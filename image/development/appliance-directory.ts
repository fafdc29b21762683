import { randomInt } from 'node:crypto';
import { mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { isMissing, replaceFile } from '../durable.ts';
import { ImageError } from '../errors.ts';
import { developmentTexts } from '../texts.ts';
import { isFree } from './free-port.ts';
import { controlSocketOf, type SupervisorConfig, supervisorConfigShape } from './supervisor/supervisor.ts';

/** Longest path of a Unix socket in bytes (unix(7), without the final zero). */
const socketPathBytesMax = 107;
/** How often the updater looks without a request; an appliance in the field looks every minute. */
const timerMs = 5_000;
/** Port of the field page; if it is taken, the next free one. */
const firstPagePort = 7070;
const portsTried = 50;

/** The places of one development appliance: all of it below one directory. */
export interface ApplianceDirectory {
  readonly dir: string;
  /** Its data partition. */
  readonly layout: Layout;
  /** Stands in for what the operating system's image ships. */
  readonly os: string;
  readonly factory: string;
  readonly config: SupervisorConfig;
}

/**
 * The appliance in a directory, as it was first made: its users and its page's port stay.
 * @throws ImageError `directory-unusable`, `directory-copied`
 */
export async function applianceIn(dir: string): Promise<ApplianceDirectory> {
  const root = join(dir, 'data');
  if (Buffer.byteLength(controlSocketOf(root)) > socketPathBytesMax) {
    throw new ImageError('directory-unusable', developmentTexts.pathTooLong(dir), developmentTexts.pathTooLongNext);
  }
  const places = { dir, layout: layoutOf(root), os: join(dir, 'os'), factory: join(dir, 'factory') };
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const path = join(dir, 'supervisor.json');
  const kept = await readConfig(path);
  if (kept !== null) {
    await requireMadeHere(dir, kept);
    return { ...places, config: kept };
  }
  const users = (await isOpenToUsers(dir)) ? usersOf() : { agentUser: null, pageUser: null };
  const config: SupervisorConfig = supervisorConfigShape.parse({
    ...{ root, os: places.os, logs: join(dir, 'logs'), ...users, timerMs },
    page: { port: await freePort() },
  });
  await replaceFile(path, Buffer.from(`${JSON.stringify(config, null, 2)}\n`), 0o600);
  return { ...places, config };
}

async function readConfig(path: string): Promise<SupervisorConfig | null> {
  try {
    return supervisorConfigShape.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (isMissing(error)) return null;
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
    const next = developmentTexts.otherContentNext;
    throw new ImageError('directory-unusable', developmentTexts.otherContent(path), next, { cause: error });
  }
}

/**
 * An appliance's files name its places by full paths, and its keys belong to one appliance: started from a copy, the
 * original would run, or would run twice.
 */
async function requireMadeHere(dir: string, { root }: SupervisorConfig): Promise<void> {
  const madeIn = dirname(root);
  const original = await realPathOf(madeIn);
  if (original === (await realpath(dir))) return;
  const what = original === null ? developmentTexts.wasMoved(madeIn) : developmentTexts.isCopy(madeIn);
  const start = original === null ? developmentTexts.moveBackNext(madeIn) : developmentTexts.startOriginalNext(madeIn);
  const next = developmentTexts.anotherNext(start);
  throw new ImageError('directory-copied', developmentTexts.onlyWhereSetUp(dir, what), next);
}

async function realPathOf(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** As root, each appliance gets users of its own, so that its agent can do no more than an agent in the field. */
function usersOf(): Pick<SupervisorConfig, 'agentUser' | 'pageUser'> {
  const base = 200_000 + 2 * randomInt(500_000);
  return { agentUser: { uid: base, gid: base }, pageUser: { uid: base + 1, gid: base + 1 } };
}

/** Can other users reach this directory? Only root can start anything as another user. */
async function isOpenToUsers(dir: string): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  for (let path = dir; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
  }
  return true;
}

async function freePort(): Promise<number> {
  for (let port = firstPagePort; port < firstPagePort + portsTried; port += 1) if (await isFree(port)) return port;
  throw new ImageError('port-taken', developmentTexts.noPort(firstPagePort), developmentTexts.noPortNext);
}
