import { basename, join, resolve } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { withDirectoryOrNone } from '../effects/held-directory.ts';
import type { User } from './settings.ts';

/**
 * updater/handed: bundles that root's command has copied for the updater, because the updater's unit cannot see the
 * original place. `<request>.<process>.hfb` is needed while the copying process lives or its request waits.
 */

/** `pageUser`: the owner of run/requests; null: there are no separate users, and root asks there. */
interface Place {
  readonly files: Files;
  readonly layout: Layout;
  readonly pageUser: User | null;
}

/** Directories that PrivateTmp and ProtectHome of image/system/units/holdfast-updater.service hide. */
export const hiddenFromUnit = ['/tmp', '/var/tmp', '/root', '/home', '/run/user'];

const isWithin = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`);

/** In development everything may lie in one of them; then the updater sees it, too. */
export function isHidden({ root }: Layout, path: string): boolean {
  return hiddenFromUnit.some((place) => isWithin(path, place) && !isWithin(resolve(root), place));
}

const handedName = /^([0-9a-f-]{36})\.(\d{1,10})\.hfb$/;

export const handedIn = ({ updater }: Pick<Layout, 'updater'>): string => join(updater, 'handed');

export function handedPath(layout: Layout, request: string, process: number): string {
  return join(handedIn(layout), `${request}.${process}.hfb`);
}

/** Removes what a command or a request that is gone has left. No transaction may be in flight: it may read from one. */
export function sweepHanded(place: Place): void {
  const { files, layout } = place;
  const directory = handedIn(layout);
  const names = files.list(directory);
  const gone = names.filter((name) => !isNeeded(place, name));
  for (const name of gone) files.removeTree(join(directory, name));
  if (gone.length > 0) files.syncDirectory(directory);
}

function isNeeded({ files, layout, pageUser }: Place, name: string): boolean {
  const [, request = '', process = ''] = handedName.exec(basename(name)) ?? [];
  if (request === '') return false;
  if (files.stat(`/proc/${process}`) !== null || files.stat(join(layout.ownRequests, `${request}.json`)) !== null)
    return true;
  try {
    return withDirectoryOrNone(
      files,
      layout.requests,
      pageUser,
      (held) => (held?.stat(`${request}.json`) ?? null) !== null,
    );
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return true; // whatever the page's user made of its directory, the next sweep looks again
  }
}
