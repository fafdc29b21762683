import { randomUUID } from 'node:crypto';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { StateBody } from '../../protocol/state-record.ts';
import { moveOut } from '../agent-data/move-across.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { unlessRefused } from '../appliance/unless-refused.ts';
import { acceptanceOf } from '../choice/acceptance.ts';
import { belongsTo, type HeldDirectory, holdDirectory, withDirectory } from '../effects/held-directory.ts';
import { handedIn } from '../identity/handed.ts';
import type { Choice } from '../machine/event.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { requestTexts } from '../words/texts.ts';

/** A bundle that a person or a stick brought. */

/** Characters of a path in the record. */
const pathMax = 400;

/**
 * A bundle that somebody brought, checked in place. It is not copied: each of its chunks is verified when it is used,
 * so a change of the file can only make that fail. An upload is first moved into the updater's own directory.
 * @param byPerson a person named this file, so quarantine does not apply
 * @throws ReleaseError, and what reading the file throws; then nothing of an upload is left
 */
export async function bringFile(
  appliance: Appliance,
  state: StateBody,
  file: string,
  byPerson: boolean,
): Promise<Choice> {
  const { files, layout } = appliance;
  const isUpload = dirname(file) === layout.uploads;
  if (!isUpload && dirname(file) !== handedIn(layout)) return chosenFile(appliance, state, file, file, byPerson);
  const name = `upload-${randomUUID()}.hfb`;
  const own = join(layout.work, name);
  try {
    if (isUpload) takeUpload(appliance, basename(file), own);
    else takeHanded(appliance, file, own);
    return await chosenFile(appliance, state, own, name, byPerson);
  } catch (error) {
    files.removeTree(own);
    throw knownAs(error, own, file);
  }
}

/** The person knows the file by the name that they gave. */
function knownAs(error: unknown, path: string, file: string): unknown {
  if (!(error instanceof ReleaseError)) return error;
  return new ReleaseError(error.code, error.message.replaceAll(path, file), { cause: error, next: error.next });
}

/** The checks of {@link bringFile}, on the file in place; nothing of it is taken. @throws as bringFile */
export async function lookWhereItLies(appliance: Appliance, state: StateBody, file: string): Promise<void> {
  const { files, layout, settings } = appliance;
  if (dirname(file) !== layout.uploads) {
    await chosenFile(appliance, state, file, file, true);
    return;
  }
  const uploads = holdDirectory(files, layout.uploads, settings.pageUser);
  const path = uploads.at(basename(file));
  try {
    requireUpload(uploads, basename(file));
    await chosenFile(appliance, state, path, path, true);
  } catch (error) {
    throw knownAs(error, path, file);
  } finally {
    uploads.close();
  }
}

/**
 * Removes what is left of an upload, whatever it is by now; a path elsewhere is not an upload. What cannot be removed,
 * the next sweep removes.
 */
export function removeUpload({ files, layout, settings, log }: Appliance, file: string): void {
  if (dirname(file) !== layout.uploads) return;
  unlessRefused(log, requestTexts.uploadNotRemoved, undefined, () =>
    withDirectory(files, layout.uploads, settings.pageUser, (uploads) => files.removeTree(uploads.at(basename(file)))),
  );
}

/** Removes our copy of a bundle that is not installed after all; a file that is read in place stays. */
export function forgetBrought({ files, layout, log }: Appliance, { source }: Choice): void {
  if (source.kind !== 'file' || isAbsolute(source.path)) return;
  unlessRefused(log, requestTexts.bundleNotRemoved, undefined, () => files.removeTree(join(layout.work, source.path)));
}

/** @throws ReleaseError */
async function chosenFile(
  appliance: Appliance,
  state: StateBody,
  file: string,
  sourcePath: string,
  byPerson: boolean,
): Promise<Choice> {
  if (sourcePath.length > pathMax) throw new ReleaseError('no-file', requestTexts.pathTooLong(file));
  const acceptance = acceptanceOf(appliance, state, byPerson);
  const { manifest, manifestDigest, bundle } = await resolveFromFile(appliance, file, acceptance);
  bundle.source.close();
  const { component, version } = manifest;
  const source = { kind: 'file', path: sourcePath } as const;
  return { kind: 'install', component, version, manifest: manifestDigest, source, waits: false };
}

/** Only a file of the page's user, under this one name: the page may not bring what a link or another name leads to. */
function requireUpload(uploads: HeldDirectory, name: string): void {
  const facts = uploads.stat(name);
  if (facts?.kind !== 'file') throw new ReleaseError('no-file', requestTexts.notThere(uploads.path, name));
  try {
    uploads.withOwn(name, () => undefined);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new ReleaseError('no-file', cause.message, { cause });
  }
}

/** What root's command copied for the updater is already in a directory of the updater's own. */
function takeHanded({ files, layout }: Appliance, file: string, to: string): void {
  files.makeDirectory(layout.work, 0o700);
  files.rename(file, to);
  for (const directory of [layout.work, handedIn(layout)]) files.syncDirectory(directory);
}

/**
 * Moves an upload from the page's directory into ours, where the page cannot remove it. It is checked before and after
 * the move, because its name may come to mean another file in between.
 */
function takeUpload({ files, layout, settings }: Appliance, name: string, to: string): void {
  files.makeDirectory(layout.work, 0o700);
  withDirectory(files, layout.uploads, settings.pageUser, (uploads) => {
    requireUpload(uploads, name);
    moveOut(files, uploads.at(name), to, true);
  });
  files.syncDirectory(layout.work);
  const facts = files.stat(to);
  if (facts?.kind === 'file' && facts.links === 1 && belongsTo(facts, settings.pageUser)) return;
  throw new ReleaseError('no-file', requestTexts.notOwn(layout.uploads, name));
}
