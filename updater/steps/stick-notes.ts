import { join } from 'node:path';
import { z } from 'zod';
import { componentShape } from '../../protocol/component.ts';
import { digestShape } from '../../protocol/digest.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { type StickLine, stickLinesMax } from '../../protocol/status.ts';
import { compareVersions, versionShape } from '../../protocol/version.ts';
import type { Appliance } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import { leftByHand } from './wanted.ts';

/** What was found on removable media, so that the same file is not opened in each run. */

/** JSON makes up to six bytes of a character of the two texts of a note. */
const notesBytesMax = stickLinesMax * 8_000;

const noteShape = z.object({
  path: z.string(),
  size: z.number(),
  mtimeMs: z.number(),
  found: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('release'),
      component: componentShape,
      version: versionShape,
      manifest: digestShape,
      /** It was installed from here by itself once: what came of that is told elsewhere. */
      isTaken: z.boolean(),
    }),
    /** `targets` is the version of the metadata that decided: newer metadata may decide otherwise. */
    z.object({ kind: z.literal('refused'), code: z.string(), text: z.string(), targets: z.int() }),
  ]),
});
export type Note = z.infer<typeof noteShape>;
export type Found = Note['found'];
export type FoundRelease = Extract<Found, { kind: 'release' }>;

/** In run/: a reboot may forget it, and then each file is looked at once more. No decision about slots reads it. */
function notesPath(appliance: Appliance): string {
  return join(appliance.layout.run, 'sticks.json');
}

export function readNotes(appliance: Appliance): Note[] {
  const parsed = z.array(noteShape).safeParse(readJson(appliance.files, notesPath(appliance), notesBytesMax));
  return parsed.success ? parsed.data : [];
}

export function writeNotes(appliance: Appliance, notes: readonly Note[]): void {
  replaceJson(appliance.files, notesPath(appliance), notes, 0o600);
}

/** A person wants everything tried again. */
export function forgetSticks(appliance: Appliance): void {
  appliance.files.unlink(notesPath(appliance));
}

/** Why a release on a stick is not taken by itself; null: it is. A person may install it by its name all the same. */
export function whyLeft(
  appliance: Appliance,
  state: StateBody,
  { component, version, manifest, isTaken }: FoundRelease,
): string | null {
  const { committed, previous } = state.app;
  if (component !== 'app') return `${component} releases are not taken from a stick.`;
  if (manifest === committed.manifest && state.row !== 'safe') return `${version} is what runs.`;
  const failed = state.quarantine.find((entry) => entry.manifest === manifest);
  if (failed !== undefined) {
    const why =
      failed.reason === 'trial' ? `it failed its trial here (${failed.verdict})` : 'a person went back from it';
    return `${version} is not taken by itself: ${why}. Use retry, or install the file.`;
  }
  // No slot is whole: whatever is trusted and not below the floor is better.
  const tried = isTaken ? `${version} was tried from this stick; see what happened. Use retry to try it again.` : null;
  if (state.row === 'safe') return tried;
  if (compareVersions(version, committed.version) <= 0) {
    return `${version} is not newer than ${committed.version}, which runs.`;
  }
  // Whoever brought the appliance to an older one did not want a newer one because its stick is still there.
  if (previous !== null && compareVersions(version, previous.version) <= 0) {
    return `${version} is not newer than ${previous.version}, which ran before, so it does not come by itself.`;
  }
  if (loadRemembered(appliance.files, appliance.layout).desired?.assigned === true) {
    return `An operator chose the release of this appliance, so ${version} is not taken by itself. Install the file.`;
  }
  const left = leftByHand(state, version);
  if (left !== undefined)
    return `A person went back from ${left.version}; ${version} is older, so it is not taken by itself.`;
  return tried;
}

/** What lies on sticks, and why it was not taken; for page, status command and whoever asks why. */
export function stickLines(appliance: Appliance, state: StateBody): StickLine[] {
  if (appliance.settings.sticks.length === 0) return [];
  return readNotes(appliance).map(({ path, found }) => {
    if (found.kind === 'refused') return { path, version: null, text: found.text, code: found.code };
    return {
      path,
      version: found.version,
      text: whyLeft(appliance, state, found) ?? `${found.version} is taken next.`,
    };
  });
}
