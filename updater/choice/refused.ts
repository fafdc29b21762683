import { z } from 'zod';
import type { Desired } from '../../protocol/check-in.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';

/** A refused release is tried again after this long, doubling up to the last value. */
const refusedBackOffMs = { first: 60_000, last: 6 * 60 * 60_000 } as const;
/** Characters of a note's text, and bytes of a note: JSON may need six bytes for a character. */
const textMax = 400;
const noteBytesMax = 4_000;

const refusedShape = z.object({
  manifest: z.string(),
  times: z.int(),
  boot: z.string(),
  atMs: z.number(),
  text: z.string().default(''),
});

type Refused = z.infer<typeof refusedShape>;

/** Where it is noted when the disk is full; it then lasts only until a reboot. */
function noteInMemory({ layout }: Appliance): string {
  return `${layout.run}/refused.json`;
}

function refusedBefore(appliance: Appliance): Refused | null {
  const { files, layout } = appliance;
  for (const path of [noteInMemory(appliance), layout.refused]) {
    const known = readKept(files, path, noteBytesMax, refusedShape);
    if (known !== null) return known;
  }
  return null;
}

function keepNote(appliance: Appliance, note: Refused): void {
  const { files, layout } = appliance;
  const path = noteInMemory(appliance);
  if (whereThereIsRoom(() => replaceJson(files, layout.refused, note, 0o600))) files.unlink(path);
  else replaceJson(files, path, note, 0o600);
}

/** Remembers, across restarts, that and how often a release was refused: its tries have a budget (S18, S33). */
export function noteRefused(appliance: Appliance, manifest: string, text: string): void {
  const before = refusedBefore(appliance);
  const times = before?.manifest === manifest ? before.times + 1 : 1;
  const at = { boot: appliance.clock.bootId(), atMs: appliance.clock.monoMs() };
  const note = { manifest, times, ...at, text: cut(text, textMax) };
  keepNote(appliance, note);
}

/** Does any release wait for its next try? */
export function hasRefused(appliance: Appliance): boolean {
  return refusedBefore(appliance) !== null;
}

/** A person wants it tried again now. */
export function forgetRefused(appliance: Appliance): void {
  for (const path of [noteInMemory(appliance), appliance.layout.refused]) appliance.files.unlink(path);
}

/** It runs now, from whichever copy: what was said of an earlier one is no longer true. */
export function forgetRefusalOf(appliance: Appliance, manifest: string): void {
  if (refusedBefore(appliance)?.manifest === manifest) forgetRefused(appliance);
}

export function isBackingOff(appliance: Appliance, manifest: string): boolean {
  const before = refusedBefore(appliance);
  if (before === null || before.manifest !== manifest) return false;
  if (before.boot !== appliance.clock.bootId()) {
    // It is unknown how long the machine was off: the wait starts again with the boot.
    const at = { boot: appliance.clock.bootId(), atMs: appliance.clock.monoMs() };
    keepNote(appliance, { ...before, ...at });
    return true;
  }
  const waitMs = Math.min(refusedBackOffMs.first * 2 ** Math.min(before.times - 1, 20), refusedBackOffMs.last);
  return appliance.clock.monoMs() - before.atMs < waitMs;
}

const troubleShape = z.object({ tx: z.int(), text: z.string() });

function troublePath(appliance: Appliance): string {
  return `${appliance.layout.run}/trouble.json`;
}

/** Remembers, until a reboot, what stopped a transaction that will continue. */
export function noteTrouble(appliance: Appliance, tx: number, text: string): void {
  replaceJson(appliance.files, troublePath(appliance), { tx, text: cut(text, textMax) }, 0o600);
}

/**
 * What a person should know about the newest release: what stopped the transaction in flight or, without one, why the
 * release that the server wants was refused.
 */
export function troubleOf(appliance: Appliance, state: StateBody, desired: Desired | null): string | null {
  if (state.transaction === null) {
    const refused = refusedBefore(appliance);
    return refused !== null && refused.manifest === desired?.release?.manifest ? refused.text : null;
  }
  const trouble = readKept(appliance.files, troublePath(appliance), noteBytesMax, troubleShape);
  return trouble?.tx === state.transaction.tx ? trouble.text : null;
}
