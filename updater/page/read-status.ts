import type { Layout } from '../../protocol/layout.ts';
import { type Status, statusShape } from '../../protocol/status.ts';
import { readFile } from '../effects/durable.ts';
import { statusAge } from '../words/status-age.ts';
import { pageTexts } from '../words/texts.ts';
import type { PageEffects } from './effects.ts';

const statusBytesMax = 256 * 1024;

/**
 * What is known about the appliance. Only `known` may be shown as it is; everything else is unknown, and unknown is
 * never ok.
 */
export type Reading =
  | { readonly kind: 'known'; readonly status: Status; readonly ageMs: number }
  | { readonly kind: 'old'; readonly status: Status; readonly why: string }
  | { readonly kind: 'missing' | 'broken'; readonly why: string };

function judged(status: Status, mtimeMs: number, { clock, files }: PageEffects, layout: Layout): Reading {
  return { status, ...statusAge(status, mtimeMs, clock, () => files.freeBytes(layout.run)) };
}

/** Reads run/status.json, bounded. Every fault in it is a value, because the page must work then, too. */
export function readStatus(effects: PageEffects, layout: Layout): Reading {
  const { files } = effects;
  try {
    const facts = files.stat(layout.status);
    const bytes = facts === null ? null : readFile(files, layout.status, statusBytesMax);
    if (facts === null || bytes === null) {
      return { kind: 'missing', why: pageTexts.noStatus };
    }
    const parsed = statusShape.safeParse(JSON.parse(bytes.toString('utf8')));
    if (!parsed.success) return { kind: 'broken', why: pageTexts.unknownStatus };
    return judged(parsed.data, facts.mtimeMs, effects, layout);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    effects.log(pageTexts.fileUnreadable(layout.status, error.message));
    return { kind: 'broken', why: pageTexts.statusUnreadable };
  }
}

/** The status in a reading, even an old one. */
export function statusOf(reading: Reading): Status | null {
  return reading.kind === 'known' || reading.kind === 'old' ? reading.status : null;
}
