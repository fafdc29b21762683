import { basename } from 'node:path';
import { requestBytesMax } from '../../protocol/request.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { requestName } from '../appliance/request-name.ts';
import { unlessRefused } from '../appliance/unless-refused.ts';
import { replaceJson, writeNewFile } from '../effects/durable.ts';
import { belongsTo, type HeldDirectory, withDirectoryOrNone } from '../effects/held-directory.ts';
import type { Settings } from '../identity/settings.ts';
import { encodeFailures, failuresBytes, noFailures } from '../page/failures.ts';
import { requestsQuota, uploadsQuota } from '../page/quota.ts';
import { requestTexts } from '../words/texts.ts';

/**
 * What the page's user may change; each run puts it in order before anything else reads it. page/ itself is root's, so
 * nobody else can replace uploads/ or the PIN. In uploads/ and run/requests only files of that user stay, within the
 * quota in number and size. No decision depends on what is found, and nothing here stops a run.
 */

/** Names that one run reads in a directory; the next run continues with the rest. */
const lookedAtMax = 50_000;
const rights = { page: 0o750, uploads: 0o700, pin: 0o640, failures: 0o600 } as const;
/** A request before it is renamed, as page and command line write it. */
const halfWritten = /^[0-9a-f-]{36}(\.json)?\.tmp$/;
const uploadName = /\.(part|hfb)$/;
const notInOrder = requestTexts.placesNotInOrder;

export type PagePlace = Pick<Appliance, 'files' | 'layout' | 'log'> & { readonly settings: Pick<Settings, 'pageUser'> };

/** @throws nothing: what the disk refuses is logged */
export function tidyPagePlaces(place: PagePlace): void {
  for (const deed of [ownPage, sweepUploads]) unlessRefused(place.log, notInOrder, undefined, () => deed(place));
  sweepRequests(place);
}

/** The page reads the PIN and counts wrong ones in place; only root creates, moves and removes names in page/. */
export function ownPage({ files, layout, settings, log }: PagePlace): void {
  const { pageUser } = settings;
  withDirectoryOrNone(files, layout.page, pageUser, (page) => {
    if (page === null) return;
    const root = pageUser === null ? null : { uid: process.getuid?.() ?? 0, gid: pageUser.gid };
    page.giveTo(rights.page, root);
    const isKept = (name: string, kind: 'file' | 'directory'): boolean => {
      const facts = page.stat(name);
      if (facts === null) return false;
      if (facts.kind === kind && (kind === 'directory' || facts.links === 1)) return true;
      log(requestTexts.removedNoKind(page.path, name, kind));
      files.removeTree(page.at(name));
      return false;
    };
    const [pin, failures, uploads] = [layout.pin, layout.pinFailures, layout.uploads].map((path) => basename(path));
    if (uploads !== undefined) {
      if (!isKept(uploads, 'directory')) files.makeDirectory(page.at(uploads), rights.uploads);
      page.own(uploads, rights.uploads, pageUser);
    }
    if (pin !== undefined && isKept(pin, 'file')) page.own(pin, rights.pin, root);
    if (failures !== undefined) {
      const isThere = isKept(failures, 'file') && page.stat(failures)?.size === failuresBytes;
      if (!isThere) makeFailures(page, { files, failures, owner: pageUser });
      page.own(failures, rights.failures, pageUser);
    }
  });
}

/** Root creates it, because the page's user creates no name in page/. */
function makeFailures(
  page: HeldDirectory,
  {
    files,
    failures,
    owner,
  }: Pick<PagePlace, 'files'> & { failures: string; owner: { uid: number; gid: number } | null },
): void {
  files.removeTree(page.at(failures));
  writeNewFile(files, page.at(failures), encodeFailures(noFailures), rights.failures, owner ?? undefined);
  page.sync();
}

interface Quota {
  readonly names: number;
  readonly bytes: number;
  /** The limit for each file. */
  readonly bytesEach: number;
  readonly isName: (name: string) => boolean;
}

/** @returns the names that were removed */
function sweepTo({ files, settings, log }: PagePlace, directory: HeldDirectory, quota: Quota): string[] {
  let [names, bytes] = [0, 0];
  const gone: string[] = [];
  const removed = directory.sweep(lookedAtMax, (name, path) => {
    const facts = files.stat(path);
    const isOwn = facts?.kind === 'file' && facts.links === 1 && belongsTo(facts, settings.pageUser);
    const size = Math.max(facts?.size ?? 0, facts?.occupies ?? 0);
    const hasRoom = names < quota.names && bytes + size <= quota.bytes && (facts?.size ?? 0) <= quota.bytesEach;
    if (isOwn && hasRoom && quota.isName(name)) {
      names += 1;
      bytes += size;
      return true;
    }
    gone.push(name);
    return false;
  });
  // Names that are not valid text belong to no request.
  while (gone.length < removed) gone.push('');
  if (removed > 0) log(requestTexts.removedTooMany(directory.path, removed));
  return gone;
}

function sweepUploads(place: PagePlace): void {
  const { files, layout, settings } = place;
  withDirectoryOrNone(files, layout.uploads, settings.pageUser, (uploads) => {
    const { bytes } = uploadsQuota;
    if (uploads !== null)
      sweepTo(place, uploads, { ...uploadsQuota, bytesEach: bytes, isName: (name) => uploadName.test(name) });
  });
}

/**
 * Removes what the page's user left in run/requests beyond its quota; the page shows that as the answer to the request.
 * @returns how many names were removed
 */
export function sweepRequests(place: PagePlace): number {
  const gone = unlessRefused(place.log, notInOrder, [], () => removeExcess(place));
  const asked = gone.findLast((name) => requestName.test(name));
  if (asked !== undefined) {
    const text = requestTexts.pageLeftMore(gone.length);
    const answer = { id: basename(asked, '.json'), outcome: 'refused', text, code: 'too-many-requests' };
    // If another user has filled run/, that is handled next.
    unlessRefused(place.log, requestTexts.pageNotTold, undefined, () =>
      replaceJson(place.files, `${place.layout.run}/last-request.json`, answer, 0o600),
    );
  }
  return gone.length;
}

function removeExcess(place: PagePlace): string[] {
  const { files, layout, settings } = place;
  return withDirectoryOrNone(files, layout.requests, settings.pageUser, (requests) => {
    const isName = (name: string) => requestName.test(name) || halfWritten.test(name);
    const quota = { ...requestsQuota, bytesEach: requestBytesMax, isName };
    return requests === null ? [] : sweepTo(place, requests, quota);
  });
}
