import { z } from 'zod';
import type { Desired } from '../../protocol/check-in.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';

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

function refusedBefore(appliance: Appliance): z.infer<typeof refusedShape> | null {
  const parsed = refusedShape.safeParse(readJson(appliance.files, appliance.layout.refused, noteBytesMax));
  return parsed.success ? parsed.data : null;
}

/** Remembers that a release was refused, and how often, over every restart: its tries have a budget (S18, S33). */
export function noteRefused(appliance: Appliance, manifest: string, text: string): void {
  const before = refusedBefore(appliance);
  const times = before?.manifest === manifest ? before.times + 1 : 1;
  const at = { boot: appliance.clock.bootId(), atMs: appliance.clock.monoMs() };
  const note = { manifest, times, ...at, text: text.slice(0, textMax) };
  replaceJson(appliance.files, appliance.layout.refused, note, 0o600);
}

/** A person wants it tried again now. */
export function forgetRefused(appliance: Appliance): void {
  appliance.files.unlink(appliance.layout.refused);
}

export function isBackingOff(appliance: Appliance, manifest: string): boolean {
  const before = refusedBefore(appliance);
  if (before === null || before.manifest !== manifest) return false;
  if (before.boot !== appliance.clock.bootId()) {
    // How long the machine was off nobody knows: the wait begins anew with the boot.
    const at = { boot: appliance.clock.bootId(), atMs: appliance.clock.monoMs() };
    replaceJson(appliance.files, appliance.layout.refused, { ...before, ...at }, 0o600);
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
