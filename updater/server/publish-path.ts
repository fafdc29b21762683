import {
  directEntry,
  isPlain,
  isSameEntry,
  networkPathBytesMax,
  networkPathShape,
} from '../../protocol/network-path.ts';
import { readFile, replaceFile } from '../effects/durable.ts';
import type { Settings } from '../identity/settings.ts';
import { pathInUse, verifiedPath } from '../trust/sources.ts';
import type { TrustPlace } from '../trust/trust-files.ts';
import type { Sample } from '../verdict/trial.ts';
import { serverTexts } from '../words/texts.ts';

/**
 * network-path.json beside the slots: the entries that the updater tries, in its order, for the agent. A proxy may have
 * a password, so root writes it, and only the agent's group may read it.
 */

const modes = { group: 0o640, own: 0o600 } as const;

export interface PathReader extends TrustPlace {
  readonly settings: Pick<Settings, 'agentUser'>;
  log(line: string): void;
}

/** There is no file if only the direct path was ever set. Errors of the disk are logged and stop nothing. */
export function publishPath(place: PathReader): void {
  const { files, layout, settings, log } = place;
  try {
    if (isPublished(place)) return;
    const { agentUser } = settings;
    const owner = agentUser === null ? undefined : { uid: process.getuid?.() ?? 0, gid: agentUser.gid };
    if (files.stat(layout.networkPath)?.kind === 'directory') files.removeTree(layout.networkPath);
    replaceFile(files, layout.networkPath, wantedBytes(place), modeOf(place), owner);
  } catch (error) {
    if (!isOfTheDisk(error)) throw error;
    log(serverTexts.pathNotWritten(error.message));
  }
}

/** Does the agent find the path that the updater uses? */
function isPublished(place: PathReader): boolean {
  const { files, layout, settings } = place;
  const facts = files.stat(layout.networkPath);
  if (facts === null) return pathInUse(place).every((entry) => isSameEntry(entry, directEntry));
  const isReadable = settings.agentUser === null || facts.gid === settings.agentUser.gid;
  if (facts.kind !== 'file' || facts.size > networkPathBytesMax || facts.mode !== modeOf(place) || !isReadable)
    return false;
  return readFile(files, layout.networkPath, networkPathBytesMax)?.equals(wantedBytes(place)) === true;
}

/**
 * How the updater last reached the server, and whether a version on trial can use the same path. Only the entry
 * verified last counts: a direct entry elsewhere on the path may lead nowhere.
 */
export function pathSeen(place: PathReader, serverUrl: string): NonNullable<Sample['path']> {
  if (isPlain(verifiedPath(place), serverUrl)) return 'plain';
  return isPublished(place) ? 'published' : 'unpublished';
}

function wantedBytes(place: PathReader): Buffer {
  return Buffer.from(`${JSON.stringify(networkPathShape.parse({ v: 1, entries: pathInUse(place) }))}\n`);
}

function modeOf({ settings }: PathReader): number {
  return settings.agentUser === null ? modes.own : modes.group;
}

function isOfTheDisk(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code);
}
