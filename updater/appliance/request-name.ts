import { type HeldDirectory, withDirectoryOrNone } from '../effects/held-directory.ts';
import { applianceTexts } from '../words/texts.ts';
import type { Appliance } from './appliance.ts';
import { unlessRefused } from './unless-refused.ts';

/** Anything else in the directory is half written or not ours. */
export const requestName = /^[0-9a-f-]{36}\.json$/;
/** Names read from the directory: more than its quota has room for. */
export const requestNamesMax = 256;

/**
 * The askers, in the order in which they are heard. Root asks in a directory of its own, where no other user can remove
 * its requests; without users, it asks in run/requests, which otherwise belongs to the page's user.
 */
export const askers = ['root', 'page'] as const;
export type Asker = (typeof askers)[number];

const root = { uid: 0, gid: 0 } as const;

type Place = Pick<Appliance, 'files' | 'layout' | 'settings' | 'log'>;

/**
 * Works in the directory of an asker. No error of the system there ends a run, whatever the page's user has made of the
 * directory: then no request counts there.
 */
export function inRequests<T>(
  { files, layout, settings, log }: Place,
  asker: Asker,
  missing: T,
  work: (requests: HeldDirectory) => T,
): T {
  const inHeld = (held: HeldDirectory | null): T => (held === null ? missing : work(held));
  return unlessRefused(log, applianceTexts.requestUnreadable, missing, () =>
    asker === 'root'
      ? withDirectoryOrNone(files, layout.ownRequests, root, inHeld)
      : withDirectoryOrNone(files, layout.requests, settings.pageUser, inHeld),
  );
}

/** Does anything wait that may be a person's request? */
export function hasRequest(place: Place): boolean {
  return askers.some((asker) =>
    inRequests(place, asker, false, (requests) =>
      requests.names(requestNamesMax).some((name) => requestName.test(name)),
    ),
  );
}
