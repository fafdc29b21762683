import { chmodSync, closeSync, lstatSync, mkdirSync, openSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { StartError } from './start-error.ts';
import { startTexts } from './texts.ts';

/**
 * Only the owner may read a server's data, whatever its modes were: keys, digests of secrets, all that appliances
 * report.
 */

const modes = { directory: 0o700, file: 0o600 } as const;
const sticky = 0o1000;
/** What a server, a backup or a restore makes in a data directory. Nothing else there is touched. */
const ownNames =
  /^(keys|releases|restoring|\.restore-.*|before-restore-.*|server\.(db|lock)(-wal|-shm|-journal)?|server\.db\.damaged-\d+(-wal)?|counters-[a-z-]+|public-keys\.json(\.tmp)?)$/;

/**
 * Makes a data directory, or corrects the modes of an existing one: its own, those of the server's own files, and of
 * its keys.
 * @throws StartError `data-directory-shared`
 */
export function makePrivate(named: string): void {
  mkdirSync(named, { recursive: true, mode: modes.directory });
  // A link that the caller names is followed; a link inside the directory is not.
  const data = realpathSync(named);
  const facts = lstatSync(data);
  const names = readdirSync(data);
  // Like /tmp: shared, so its mode is not ours to change. The root of a new file system looks the same, and is empty.
  if ((facts.mode & sticky) !== 0 && names.some((one) => !ownNames.test(one)))
    throw new StartError('data-directory-shared', startTexts.directoryOfEverybody(data), startTexts.ownDirectoryNext);
  putRight(data, facts);
  for (const name of names.filter((one) => ownNames.test(one))) putRight(join(data, name));
  const keys = join(data, 'keys');
  if (lstatSync(keys, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  for (const name of readdirSync(keys)) putRight(join(keys, name));
}

/** Makes a file that only its owner can read from the first moment; an existing one stays. */
export function makePrivateFile(path: string): void {
  closeSync(openSync(path, 'a', modes.file));
  putRight(path);
}

function putRight(path: string, facts: Stats | undefined = lstatSync(path, { throwIfNoEntry: false })): void {
  // Gone meanwhile, or a link to something that is not ours.
  if (facts === undefined || !(facts.isDirectory() || facts.isFile())) return;
  const wanted = facts.isDirectory() ? modes.directory : modes.file;
  if ((facts.mode & 0o777) === wanted) return;
  try {
    chmodSync(path, wanted);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EPERM')) throw cause;
    const message = startTexts.directoryOfAnother(path);
    throw new StartError('data-directory-shared', message, startTexts.directoryOfAnotherNext, { cause });
  }
}
