import { join } from 'node:path';
import { z } from 'zod';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { deferralSentence } from '../verdict/deferral.ts';

/** The last look that saw the agent ask not to be stopped: in run/, because it applies to this boot. */
const lookShape = z.object({
  boot: z.string(),
  manifest: z.string(),
  atMs: z.number(),
  words: z.string().nullable(),
  usedMs: z.int(),
  leftMs: z.int(),
});
type Look = z.infer<typeof lookShape>;

const noteBytesMax = 4_000;

function lookPath({ layout }: Appliance): string {
  return join(layout.run, 'deferral.json');
}

export function lastLook(appliance: Appliance): Look | null {
  return readKept(appliance.files, lookPath(appliance), noteBytesMax, lookShape);
}

export function noteLook(appliance: Appliance, look: Look): void {
  replaceJson(appliance.files, lookPath(appliance), look, 0o600);
}

export function forgetLook(appliance: Appliance): void {
  appliance.files.unlink(lookPath(appliance));
}

/** The deferral that delays the switch now; null: none does. */
export function deferralOf(appliance: Appliance, state: StateBody): { sentence: string; look: Look } | null {
  const look = lastLook(appliance);
  const isNow = state.row === 'sealed' && look?.boot === appliance.clock.bootId();
  if (look === null || !isNow || look.manifest !== state.transaction?.manifest) return null;
  return { sentence: deferralSentence(state.app.committed.version, look.words, look.leftMs), look };
}
