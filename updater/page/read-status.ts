import type { Layout } from '../../protocol/layout.ts';
import { type Status, statusShape } from '../../protocol/status.ts';
import { readFile } from '../effects/durable.ts';
import type { PageEffects } from './effects.ts';

const statusBytesMax = 256 * 1024;
/** A status is old after three missed looks at the server, and never before this. */
const oldAfterMs = 5 * 60_000;
const missedLooks = 3;

/** What is known of the appliance. Only `known` may be shown as it is; all else is unknown, and unknown is never ok. */
export type Reading =
  | { readonly kind: 'known'; readonly status: Status; readonly ageMs: number }
  | { readonly kind: 'old'; readonly status: Status; readonly why: string }
  | { readonly kind: 'missing' | 'broken'; readonly why: string };

function ageOf({ at }: Status, mtimeMs: number, { clock }: PageEffects): number | null {
  if (at === undefined) return Math.max(0, clock.wallS() * 1000 - mtimeMs);
  return at.boot === clock.bootId() ? Math.max(0, clock.monoMs() - at.monoMs) : null;
}

function judged(status: Status, mtimeMs: number, effects: PageEffects): Reading {
  const ageMs = ageOf(status, mtimeMs, effects);
  if (ageMs === null) return { kind: 'old', status, why: 'The updater has not looked since the appliance started.' };
  const limitMs = Math.max(oldAfterMs, missedLooks * (status.checkIn.nextInS ?? 0) * 1000);
  if (ageMs <= limitMs) return { kind: 'known', status, ageMs };
  const minutes = Math.round(ageMs / 60_000);
  return { kind: 'old', status, why: `The updater has not looked for ${minutes} minutes. What follows is from then.` };
}

/** Reads run/status.json, bounded; whatever is wrong with it is a value, because the page must be there then too. */
export function readStatus(effects: PageEffects, layout: Layout): Reading {
  const { files } = effects;
  try {
    const facts = files.stat(layout.status);
    const bytes = facts === null ? null : readFile(files, layout.status, statusBytesMax);
    if (facts === null || bytes === null) {
      return { kind: 'missing', why: 'The updater has not written a status since the appliance started.' };
    }
    const parsed = statusShape.safeParse(JSON.parse(bytes.toString('utf8')));
    if (!parsed.success)
      return { kind: 'broken', why: 'The status that the updater wrote is not one that this page reads.' };
    return judged(parsed.data, facts.mtimeMs, effects);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    effects.log(`${layout.status} can not be read: ${error.message}`);
    return { kind: 'broken', why: 'The status that the updater wrote can not be read.' };
  }
}

/** The status that a reading has, also an old one. */
export function statusOf(reading: Reading): Status | null {
  return reading.kind === 'known' || reading.kind === 'old' ? reading.status : null;
}
