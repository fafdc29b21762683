import { join } from 'node:path';
import { type AgentCredentials, agentCredentialsShape } from '../../protocol/claim.ts';
import { snapshotFiles } from '../../protocol/layout.ts';
import type { Appliance } from '../appliance.ts';
import { readFile, readJson, replaceFile } from '../effects/durable.ts';

/**
 * The agent's own directories, so that the next version can work in them, whatever the one before has made of them. Only
 * while nothing of the agent runs: then nobody can exchange a name between the look and the deed. Nothing is decided by
 * what is found, and nothing in here stops a transaction.
 */

/** Names in the agent's corner of run/ that are removed at a time: more than the tmpfs has room for. */
const cornerNamesMax = 20_000;
/** Who only sets the time of the hint writes a byte. */
const hintBytesMax = 4 * 1024;
const keyBytesMax = 4 * 1024;
const credentialsBytesMax = 16 * 1024;
const rights = { own: 0o700, run: 0o755, file: 0o600 } as const;
const databaseFiles = ['outbox.db', 'outbox.db-wal', 'outbox.db-shm', 'state.db-shm'] as const;

type Place = Pick<Appliance, 'files' | 'layout' | 'settings' | 'identity' | 'log'>;

/** @throws nothing: what the disk refuses is told of, and the version that is started says what it lacks */
export function tidyAgentPlaces(place: Place): void {
  const { layout } = place;
  const deeds: readonly (() => void)[] = [
    () => emptyCorner(place),
    () => emptyHint(place),
    () => ownDirectory(place, layout.agent, rights.own),
    () => ownDirectory(place, layout.agentFactory, rights.own),
    () => ownFiles(place),
    () => keepKeys(place),
  ];
  for (const deed of deeds) {
    try {
      deed();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      place.log(`the agent's directories could not be put in order: ${error.message}`);
    }
  }
}

/** Whatever stands where the socket will be made, or takes the room on tmpfs. */
function emptyCorner(place: Place): void {
  const { files, layout } = place;
  if (files.stat(layout.agentRun) === null) return;
  ownDirectory(place, layout.agentRun, rights.run);
  const found = files.listAtMost(layout.agentRun, cornerNamesMax).map((name) => join(layout.agentRun, name));
  // A socket that nobody listens on any more takes no room; the agent replaces it.
  const taken = [layout.agentSocket, ...found].filter((path) => files.stat(path)?.kind !== 'other');
  for (const path of taken) files.removeTree(path);
}

/** The agent may write it, and so fill the tmpfs that it lies on. */
function emptyHint({ files, layout, settings }: Place): void {
  const facts = files.stat(layout.hint);
  if (facts?.kind !== 'file' || facts.size <= hintBytesMax) return;
  files.unlink(layout.hint);
  const handle = files.create(layout.hint, facts.mode);
  files.close(handle);
  if (settings.agentUser !== null) files.setOwner(layout.hint, facts.uid, facts.gid);
}

function ownDirectory({ files, settings }: Place, path: string, mode: number): void {
  const facts = files.stat(path);
  if (facts?.kind !== 'directory') return; // its parent is root's: nobody but root can have made another thing of it
  const { agentUser } = settings;
  if (agentUser !== null && facts.uid !== agentUser.uid) files.setOwner(path, agentUser.uid, agentUser.gid);
  if ((facts.mode & rights.own) !== rights.own) files.setMode(path, mode);
}

/** Only of files that are the agent's, and have no other name. */
function ownFiles({ files, layout, settings }: Place): void {
  for (const name of [...snapshotFiles, ...databaseFiles]) {
    const path = join(layout.agent, name);
    const facts = files.stat(path);
    if (facts?.kind !== 'file' || facts.links !== 1) continue;
    if (settings.agentUser !== null && facts.uid !== settings.agentUser.uid) continue;
    if ((facts.mode & rights.file) !== rights.file) files.setMode(path, rights.file);
  }
}

/** The updater made the agent's key and vouched for it: a version that lost it can not check in, and no trial passes. */
function keepKeys(place: Place): void {
  const { files, layout, identity, settings, log } = place;
  const key = readFile(files, layout.agentKey, keyBytesMax);
  if (key === null) return;
  ownKeys(place);
  const path = layout.agentCredentials;
  const { appliance, url, answerKeys } = identity;
  const wanted: AgentCredentials = { appliance, url, answerKeys, privateKey: key.toString('ascii') };
  if (areGood(place, wanted)) return;
  for (const taken of [path, `${path}.tmp`]) if (files.stat(taken)?.kind === 'directory') files.removeTree(taken);
  replaceFile(files, path, Buffer.from(JSON.stringify(wanted)), rights.file, settings.agentUser ?? undefined);
  log("the agent's credentials were not what setup had written; they are again");
}

/** The directory of the keys is the agent's to replace: by a link, and what is written there would be written elsewhere. */
function ownKeys(place: Place): void {
  const { files, layout, settings } = place;
  const kind = files.stat(layout.agentKeys)?.kind;
  if (kind !== undefined && kind !== 'directory') files.unlink(layout.agentKeys);
  if (kind !== 'directory') {
    files.makeDirectory(layout.agentKeys, rights.own);
    if (settings.agentUser !== null) files.setOwner(layout.agentKeys, settings.agentUser.uid, settings.agentUser.gid);
    files.syncDirectory(layout.agent);
  }
  ownDirectory(place, layout.agentKeys, rights.own);
}

function areGood({ files, layout, settings }: Place, { appliance, url, privateKey }: AgentCredentials): boolean {
  const facts = files.stat(layout.agentCredentials);
  const isOwn = settings.agentUser === null || facts?.uid === settings.agentUser.uid;
  if (facts?.kind !== 'file' || facts.links !== 1 || !isOwn || (facts.mode & rights.file) !== rights.file) return false;
  if (facts.size > credentialsBytesMax) return false;
  try {
    const found = agentCredentialsShape.safeParse(readJson(files, layout.agentCredentials, credentialsBytesMax));
    if (!found.success) return false;
    const { data } = found;
    return data.appliance === appliance && data.url === url && data.privateKey === privateKey;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
