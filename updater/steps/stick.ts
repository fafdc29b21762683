import type { StateBody } from '../../protocol/state-record.ts';
import { compareVersions } from '../../protocol/version.ts';
import type { Appliance } from '../appliance.ts';
import { readFile } from '../effects/durable.ts';
import type { MachineEvent } from '../machine-event.ts';
import { asReleaseError, ReleaseError } from '../release/release-error.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { acceptanceOf, knownTrust } from './acceptance.ts';
import { bringFile } from './bring-file.ts';
import { isSystemError, type OnSticks, type Present, presentFiles, unlessPulledOut } from './stick-files.ts';
import { type Found, type FoundRelease, type Note, readNotes, whyLeft, writeNotes } from './stick-notes.ts';
import { sourcesBytesMax, takeStickSources } from './stick-sources.ts';

/** Bundles on removable media: looked at in each run, opened once, and taken by itself only when there is no doubt. */

const textMax = 400;

function targetsVersion(appliance: Appliance): number {
  return knownTrust(appliance)?.targets?.version ?? 0;
}

function refusal(appliance: Appliance, path: string, error: unknown): Found {
  const known = asReleaseError(error, path);
  const targets = targetsVersion(appliance);
  if (known instanceof ReleaseError && known.code !== 'disk' && known.code !== 'no-file') {
    const text = `${known.message} (${known.code}). ${known.next}`.slice(0, textMax);
    return { kind: 'refused', code: known.code, text, targets };
  }
  if (!isSystemError(error)) throw error;
  const text = `${path} can not be read (${String(error.code)}). Was the stick pulled out? Put it in again.`;
  return { kind: 'refused', code: 'file-unreadable', text: text.slice(0, textMax), targets };
}

/** The checks of `install FILE`, on the file where it is; nothing of it is kept but the metadata that it proves. */
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

/** What is still true of the file: a note of another file, or one that newer metadata may overrule, is not. */
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
      appliance.log(`on a stick: ${note.path}: ${said}`);
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
 * The highest release on a stick that is newer than what runs. It is installed from where it lies: when the stick is
 * pulled out, the transaction ends and nothing is lost.
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
      appliance.log(`installing ${choice.component} ${choice.version} from ${note.path}`);
      return { kind: 'take', choice };
    } catch (error) {
      found(note.path, refusal(appliance, note.path, error));
      appliance.log(`${note.path} is not installed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return null;
}
