import type { StateBody } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';
import { compareVersions } from '../../protocol/version.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { acceptanceOf, knownTrust } from '../choice/acceptance.ts';
import { readFile } from '../effects/durable.ts';
import type { MachineEvent } from '../machine/event.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { requestTexts } from '../words/texts.ts';
import { bringFile } from './bring-file.ts';
import { isSystemError, type OnSticks, type Present, presentFiles, unlessPulledOut } from './stick-files.ts';
import { type Found, type FoundRelease, type Note, readNotes, whyLeft, writeNotes } from './stick-notes.ts';
import { sourcesBytesMax, takeStickSources } from './stick-sources.ts';

/**
 * Bundles on removable media: checked in each run, opened once, and taken automatically only when there is no doubt.
 */

const textMax = 400;

function targetsVersion(appliance: Appliance): number {
  return knownTrust(appliance)?.targets?.version ?? 0;
}

function refusal(appliance: Appliance, path: string, error: unknown): Found {
  const known = asReleaseError(error, path);
  const targets = targetsVersion(appliance);
  if (known instanceof ReleaseError && known.code !== 'disk' && known.code !== 'no-file') {
    const text = cut(`${known.message} (${known.code}). ${known.next}`, textMax);
    return { kind: 'refused', code: known.code, text, targets };
  }
  if (!isSystemError(error)) throw error;
  const text = requestTexts.stickFileUnreadable(path, String(error.code));
  return { kind: 'refused', code: 'file-unreadable', text: cut(text, textMax), targets };
}

/** The checks of `install FILE`, on the file in place; only the metadata that it proves is kept. */
async function look(appliance: Appliance, state: StateBody, { path }: Present): Promise<Found> {
  try {
    const acceptance = acceptanceOf(appliance, state, true);
    const { manifest, manifestDigest, bundle } = await resolveFromFile(appliance, path, acceptance);
    bundle.source.close();
    const { component, version } = manifest;
    return { kind: 'release', component, version, manifest: manifestDigest, isTaken: false };
  } catch (error) {
    return refusal(appliance, path, error);
  }
}

/** A note that still holds: not one of another file, nor one that newer metadata may overrule. */
function noteOf(notes: readonly Note[], present: Present, targets: number): Note | undefined {
  return notes.find(
    ({ path, size, mtimeMs, found }) =>
      path === present.path &&
      size === present.size &&
      mtimeMs === present.mtimeMs &&
      (found.kind === 'release' || found.targets === targets),
  );
}

async function lookAtAll(appliance: Appliance, state: StateBody, bundles: readonly Present[]): Promise<Note[]> {
  const before = readNotes(appliance);
  const targets = targetsVersion(appliance);
  const notes: Note[] = [];
  for (const present of bundles) {
    const known = noteOf(before, present, targets);
    const note = known ?? { ...present, found: await look(appliance, state, present) };
    if (known === undefined) {
      const said = note.found.kind === 'refused' ? note.found.text : `${note.found.component} ${note.found.version}`;
      appliance.log(requestTexts.onStick(note.path, said));
    }
    notes.push(note);
  }
  // What was pulled out is forgotten, so that putting it in again tries it again.
  if (notes.length > 0 || before.length > 0) writeNotes(appliance, notes);
  return notes;
}

/** The releases to take, the highest version first. */
function takeable(appliance: Appliance, state: StateBody, notes: readonly Note[]): (Note & { found: FoundRelease })[] {
  return notes
    .flatMap((note) => (note.found.kind === 'release' ? [{ ...note, found: note.found }] : []))
    .filter(({ found }) => whyLeft(appliance, state, found) === null)
    .sort((a, b) => compareVersions(b.found.version, a.found.version));
}

/**
 * The highest release on a stick that is newer than what runs. It is installed in place: when the stick is pulled out,
 * the transaction ends and nothing is lost.
 * @returns what the machine has to do for it; null when there is nothing
 */
export async function takeFromStick(
  appliance: Appliance,
  state: StateBody,
  { bundles, sources }: OnSticks = presentFiles(appliance),
): Promise<MachineEvent | null> {
  for (const path of sources) {
    const bytes = unlessPulledOut(appliance, null, () => readFile(appliance.files, path, sourcesBytesMax));
    if (bytes !== null) takeStickSources(appliance, path, bytes);
  }
  let notes = await lookAtAll(appliance, state, bundles);
  const found = (path: string, now: Found): void => {
    notes = notes.map((note) => (note.path === path ? { ...note, found: now } : note));
    writeNotes(appliance, notes);
  };
  for (const note of takeable(appliance, state, notes)) {
    try {
      const choice = await bringFile(appliance, state, note.path, false);
      found(note.path, { ...note.found, isTaken: true });
      appliance.log(requestTexts.installingFrom(choice.component, choice.version, note.path));
      return { kind: 'take', choice };
    } catch (error) {
      found(note.path, refusal(appliance, note.path, error));
      appliance.log(requestTexts.notInstalledFrom(note.path, error instanceof Error ? error.message : String(error)));
    }
  }
  return null;
}
