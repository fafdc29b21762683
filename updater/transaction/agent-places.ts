import { snapshotFiles } from '../../protocol/layout.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { type HeldDirectory, withDirectoryOrNone } from '../effects/held-directory.ts';
import { hasCredentials, keepCredentials } from '../identity/agent-keys.ts';
import { keyOrNull } from '../identity/identity.ts';
import { readWithTwin } from '../identity/twin.ts';
import { transactionTexts } from '../words/texts.ts';

/**
 * Puts the agent's own directories in order, so that the next version can work in them, whatever the one before has
 * made of them. No decision depends on what is found, and nothing here stops a transaction.
 */

/** Names removed at a time in the agent's directory in run/: more than the tmpfs has room for. */
const cornerNamesMax = 20_000;
/** Setting the time of the hint takes one byte. */
const hintBytesMax = 4 * 1024;
const keyBytesMax = 4 * 1024;
const rights = { own: 0o700, run: 0o755, file: 0o600 } as const;
const databaseFiles = ['outbox.db', 'outbox.db-wal', 'outbox.db-shm', 'state.db-shm'] as const;

type Place = Pick<Appliance, 'files' | 'layout' | 'settings' | 'identity' | 'isIdentityLost' | 'log'>;

/** @throws nothing: what the disk refuses is logged, and the version that is started reports what it lacks */
export function tidyAgentPlaces(place: Place): void {
  const { layout, files, settings } = place;
  const inAgent = (work: (agent: HeldDirectory) => void) =>
    withDirectoryOrNone(files, layout.agent, settings.agentUser, (agent) => agent !== null && work(agent));
  const deeds: readonly (() => void)[] = [
    () => emptyCorner(place),
    () => emptyHint(place),
    () => ownDirectory(place, layout.agent, rights.own),
    () => ownDirectory(place, layout.agentFactory, rights.own),
    () => inAgent((agent) => ownFiles(place, agent)),
    () => inAgent((agent) => keepKeys(place, agent)),
  ];
  for (const deed of deeds) unlessRefused(place, deed);
}

function unlessRefused<T>({ log }: Place, deed: () => T): T | null {
  try {
    return deed();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log(transactionTexts.placesNotInOrder(error.message));
    return null;
  }
}

/**
 * `restored`: they were not what setup had written, and are again. `lost`: the agent cannot read them, and the updater
 * has no copy of its key.
 */
export type KeysFound = 'as-they-were' | 'restored' | 'lost';

/** Looks at the agent's credentials in each run: an agent without them cannot tell anybody but its own log. */
export function mendAgentKeys(place: Place): KeysFound {
  const { files, layout, settings } = place;
  const found = unlessRefused(place, () =>
    withDirectoryOrNone(files, layout.agent, settings.agentUser, (agent) =>
      agent === null ? null : keepKeys(place, agent),
    ),
  );
  return found ?? 'as-they-were';
}

/** Removes whatever blocks the place of the socket or takes room on the tmpfs. */
function emptyCorner(place: Place): void {
  const { files, layout, settings } = place;
  ownDirectory(place, layout.agentRun, rights.run);
  withDirectoryOrNone(files, layout.agentRun, settings.agentUser, (corner) => {
    // A socket that nothing listens on takes no room; the agent replaces it.
    corner?.sweep(cornerNamesMax, (_name, path) => files.stat(path)?.kind === 'other');
  });
}

/** The agent may write to the hint, and so fill the tmpfs that it lies on. */
function emptyHint({ files, layout, settings }: Place): void {
  const facts = files.stat(layout.hint);
  if (facts?.kind !== 'file' || facts.size <= hintBytesMax) return;
  files.unlink(layout.hint);
  const handle = files.create(layout.hint, facts.mode);
  files.close(handle);
  if (settings.agentUser !== null) files.setOwner(layout.hint, facts.uid, facts.gid);
}

/** Its parent is root's: only root can have replaced it with something else. */
function ownDirectory({ files, settings }: Place, path: string, mode: number): void {
  if (files.stat(path)?.kind !== 'directory') return;
  const handle = files.openName(path);
  try {
    const facts = files.statHandle(handle);
    const { agentUser } = settings;
    if (agentUser !== null && facts.uid !== agentUser.uid) files.setOwnerOf(handle, agentUser.uid, agentUser.gid);
    if ((facts.mode & rights.own) !== rights.own) files.setModeOf(handle, mode);
  } finally {
    files.close(handle);
  }
}

/** Only for files that the agent owns and that have no other name. */
function ownFiles({ settings }: Place, agent: HeldDirectory): void {
  for (const name of [...snapshotFiles, ...databaseFiles]) {
    const facts = agent.stat(name);
    if (facts?.kind !== 'file' || facts.links !== 1) continue;
    if (settings.agentUser !== null && facts.uid !== settings.agentUser.uid) continue;
    if ((facts.mode & rights.file) !== rights.file) agent.own(name, rights.file, settings.agentUser);
  }
}

/**
 * The updater made the agent's key and vouched for it: a version that lost the key cannot check in, and no trial
 * passes.
 */
function keepKeys(place: Place, agent: HeldDirectory): KeysFound {
  const { files, layout, identity, isIdentityLost, settings, log } = place;
  // Without its identity, the updater leaves the agent's credentials as they are.
  if (isIdentityLost) return 'as-they-were';
  const keys = { files, layout, agentUser: settings.agentUser };
  const key = readWithTwin(files, layout.agentKey, keyBytesMax, pemOrNull)?.value ?? null;
  if (key === null) return hasCredentials(keys, agent) ? 'as-they-were' : 'lost';
  const { appliance, url, answerKeys } = identity;
  if (!keepCredentials(keys, agent, { appliance, url, answerKeys, privateKey: key })) return 'as-they-were';
  log(transactionTexts.credentialsRestored);
  return 'restored';
}

function pemOrNull(bytes: Buffer): string | null {
  const text = bytes.toString('ascii');
  return keyOrNull(bytes) === null ? null : text;
}
