import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import type { Choice } from '../machine-event.ts';
import { ReleaseError } from '../release/release-error.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { acceptanceOf } from './acceptance.ts';

/** A bundle that a person or a stick brought. */

/** Characters of a path in the record. */
const pathMax = 400;

/**
 * A bundle that somebody brought, looked at where it lies. It is not copied: of its chunks each is verified when it is
 * used, so whoever changes the file meanwhile only makes that fail. An upload becomes ours first.
 * @param byPerson somebody named this very file, so that quarantine does not count
 * @throws ReleaseError, and what reading the file throws; then nothing of an upload is left
 */
export async function bringFile(
  appliance: Appliance,
  state: StateBody,
  file: string,
  byPerson: boolean,
): Promise<Choice> {
  const { files, layout } = appliance;
  if (dirname(file) !== layout.uploads) return chosenFile(appliance, state, file, file, byPerson);
  const name = `upload-${randomUUID()}.hfb`;
  const own = join(layout.work, name);
  try {
    takeUpload(appliance, file, own);
    return await chosenFile(appliance, state, own, name, byPerson);
  } catch (error) {
    files.removeTree(own);
    if (!(error instanceof ReleaseError)) throw error;
    // The person knows it by the name that they gave it.
    throw new ReleaseError(error.code, error.message.replaceAll(own, file), { cause: error });
  }
}

/** @throws ReleaseError */
export async function chosenFile(
  appliance: Appliance,
  state: StateBody,
  file: string,
  sourcePath: string,
  byPerson: boolean,
): Promise<Choice> {
  if (sourcePath.length > pathMax) throw new ReleaseError('no-file', `the path ${file} is too long`);
  const acceptance = acceptanceOf(appliance, state, byPerson);
  const { manifest, manifestDigest, bundle } = await resolveFromFile(appliance, file, acceptance);
  bundle.source.close();
  const { component, version } = manifest;
  const source = { kind: 'file', path: sourcePath } as const;
  return { kind: 'install', component, version, manifest: manifestDigest, source, waits: false };
}

/** From the page's directory into ours, where the page can not take it away. */
function takeUpload({ files, layout }: Appliance, from: string, to: string): void {
  files.makeDirectory(layout.work, 0o700);
  if (files.stat(from)?.kind !== 'file') throw new ReleaseError('no-file', `${from} is not there as a file`);
  files.rename(from, to);
  files.syncDirectory(layout.work);
}
