import { join } from 'node:path';
import { z } from 'zod';
import { isOfSystem } from '../../protocol/system-problem.ts';
import { cut } from '../../protocol/text.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';

/**
 * What was damaged and has been replaced, for a person who looks later: in run/, because a reboot may be what helped. It is
 * told for a day of running, and until a release is committed.
 */
const notesShape = z.object({ notes: z.array(z.object({ boot: z.string(), atMs: z.number(), text: z.string() })) });

const toldForMs = 86_400_000;
/** status.json takes few notices, and the newest damage matters most. */
const keptMax = 4;
const textMax = 500;
const noteBytesMax = 16_000;

type Place = Pick<Appliance, 'files' | 'layout' | 'clock'>;

function notesPath({ layout }: Place): string {
  return join(layout.run, 'damage.json');
}

function notesOf(place: Place) {
  const { files, clock } = place;
  const { notes } = readKept(files, notesPath(place), noteBytesMax, notesShape) ?? { notes: [] };
  return notes.filter(({ boot, atMs }) => boot === clock.bootId() && clock.monoMs() - atMs < toldForMs);
}

export function noteDamage(place: Place, text: string): void {
  const { files, clock } = place;
  const note = { boot: clock.bootId(), atMs: clock.monoMs(), text: cut(text, textMax) };
  const notes = [...notesOf(place).filter(({ text: other }) => other !== note.text), note].slice(-keptMax);
  try {
    replaceJson(files, notesPath(place), { notes }, 0o600);
  } catch (error) {
    // Log and server have it, and a disk that takes no change has worse to tell.
    if (!isOfSystem(error)) throw error;
  }
}

/** A release that is committed proves that the appliance works again. */
export function forgetDamage(place: Place): void {
  place.files.unlink(notesPath(place));
}

export function damageNotices(place: Place): string[] {
  return notesOf(place).map(({ text }) => text);
}
