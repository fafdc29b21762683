import { join } from 'node:path';
import { z } from 'zod';
import { componentShape } from '../../protocol/component.ts';
import { digestShape } from '../../protocol/digest.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { type StickLine, stickLinesMax } from '../../protocol/status.ts';
import { compareVersions, versionShape } from '../../protocol/version.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { leftByHand } from '../choice/wanted.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { rulesOf } from '../machine/component-rules.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { requestTexts } from '../words/texts.ts';

/** What was found on removable media, so that a run does not open the same file again. */

/** JSON may need up to six bytes for each character of a note's two texts. */
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
      /** It was installed from here automatically once; the outcome is reported elsewhere. */
      isTaken: z.boolean(),
    }),
    /** `targets` is the version of the metadata that decided: newer metadata may decide differently. */
    z.object({ kind: z.literal('refused'), code: z.string(), text: z.string(), targets: z.int() }),
  ]),
});
export type Note = z.infer<typeof noteShape>;
export type Found = Note['found'];
export type FoundRelease = Extract<Found, { kind: 'release' }>;

/**
 * In run/: a reboot may forget the notes, and then each file is opened once more. No decision about slots reads them.
 */
function notesPath(appliance: Appliance): string {
  return join(appliance.layout.run, 'sticks.json');
}

export function readNotes(appliance: Appliance): Note[] {
  return readKept(appliance.files, notesPath(appliance), notesBytesMax, z.array(noteShape)) ?? [];
}

export function writeNotes(appliance: Appliance, notes: readonly Note[]): void {
  replaceJson(appliance.files, notesPath(appliance), notes, 0o600);
}

/** A person wants everything tried again. */
export function forgetSticks(appliance: Appliance): void {
  appliance.files.unlink(notesPath(appliance));
}

/** Why a release on a stick is not taken automatically; null: it is. A person may still install the file by name. */
export function whyLeft(
  appliance: Appliance,
  state: StateBody,
  { component, version, manifest, isTaken }: FoundRelease,
): string | null {
  const { committed, previous } = state.app;
  if (!rulesOf(component).comesOnSticks) return requestTexts.notFromStick(component);
  if (manifest === committed.manifest && state.row !== 'safe') return requestTexts.runs(version);
  const failed = state.quarantine.find((entry) => entry.manifest === manifest);
  if (failed !== undefined) {
    const why = failed.reason === 'trial' ? requestTexts.failedTrial(failed.verdict) : requestTexts.wentBack;
    return requestTexts.notByItself(version, why);
  }
  // No slot is whole: anything that is trusted and not below the floor is better.
  const tried = isTaken ? requestTexts.triedFromStick(version) : null;
  if (state.row === 'safe') return tried;
  if (compareVersions(version, committed.version) <= 0) {
    return requestTexts.notNewer(version, committed.version);
  }
  // A person who installed an older version did not want a newer one just because its stick is still there.
  if (previous !== null && compareVersions(version, previous.version) <= 0) {
    return requestTexts.notNewerThanPrevious(version, previous.version);
  }
  if (loadRemembered(appliance.files, appliance.layout).desired?.assigned === true) {
    return requestTexts.operatorChose(version);
  }
  const left = leftByHand(state, version);
  if (left !== undefined) return requestTexts.olderThanLeft(left.version, version);
  return tried;
}

/** The files on sticks, and why each was not taken; for the page, `status` and `why`. */
export function stickLines(appliance: Appliance, state: StateBody): StickLine[] {
  if (appliance.settings.sticks.length === 0) return [];
  return readNotes(appliance).map(({ path, found }) => {
    if (found.kind === 'refused') return { path, version: null, text: found.text, code: found.code };
    return {
      path,
      version: found.version,
      text: whyLeft(appliance, state, found) ?? requestTexts.takenNext(found.version),
    };
  });
}
