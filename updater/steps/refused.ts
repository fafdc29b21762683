import { z } from 'zod';
import type { Desired } from '../../protocol/check-in.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson, whereThereIsRoom } from '../effects/durable.ts';

/** After a release was refused, it is looked at again after this long, doubling up to the last value. */
const refusedBackOffMs = { first: 60_000, last: 6 * 60 * 60_000 } as const;
/** Characters of a note's text, and bytes of a note: JSON makes up to six of a character. */
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

/** Where it is noted on a full disk: then only until a reboot. */
function noteInMemory({ layout }: Appliance): string {
  return `${layout.run}/refused.json`;
}

function refusedBefore(appliance: Appliance): Refused | null {
  const { files, layout } = appliance;
  for (const path of [noteInMemory(appliance), layout.refused]) {
    const parsed = refusedShape.safeParse(readJson(files, path, noteBytesMax));
    if (parsed.success) return parsed.data;
  }
  return null;
}

function keepNote(appliance: Appliance, note: Refused): void {
  const { files, layout } = appliance;
  const path = noteInMemory(appliance);
  if (whereThereIsRoom(() => replaceJson(files, layout.refused, note, 0o600))) files.unlink(path);
  else replaceJson(files, path, note, 0o600);
}

/** Remembers that a release was refused, and how often, over every restart: its tries have a budget (S18, S33). */
export function noteRefused(appliance: Appliance, manifest: string, text: string): void {
  const before = refusedBefore(appliance);
  const times = before?.manifest === manifest ? before.times + 1 : 1;
  const at = { boot: appliance.clock.bootId(), atMs: appliance.clock.monoMs() };
  const note = { manifest, times, ...at, text: text.slice(0, textMax) };
  keepNote(appliance, note);
}

/** A person wants it tried again now. */
export function forgetRefused(appliance: Appliance): void {
  for (const path of [noteInMemory(appliance), appliance.layout.refused]) appliance.files.unlink(path);
}

export function isBackingOff(appliance: Appliance, manifest: string): boolean {
  const before = refusedBefore(appliance);
  if (before === null || before.manifest !== manifest) return false;
  if (before.boot !== appliance.clock.bootId()) {
    // How long the machine was off nobody knows: the wait begins anew with the boot.
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

/** Remembers (until a reboot) what stopped a transaction that will be carried on. */
export function noteTrouble(appliance: Appliance, tx: number, text: string): void {
  replaceJson(appliance.files, troublePath(appliance), { tx, text: text.slice(0, textMax) }, 0o600);
}

/**
 * What a person should know of the newest release: what stopped the transaction in flight, or, where there is none, why
 * the one that the server wants was refused.
 */
export function troubleOf(appliance: Appliance, state: StateBody, desired: Desired | null): string | null {
  if (state.transaction === null) {
    const refused = refusedBefore(appliance);
    return refused !== null && refused.manifest === desired?.release?.manifest ? refused.text : null;
  }
  const parsed = troubleShape.safeParse(readJson(appliance.files, troublePath(appliance), noteBytesMax));
  return parsed.success && parsed.data.tx === state.transaction.tx ? parsed.data.text : null;
}
