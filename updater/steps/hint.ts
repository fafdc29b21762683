import { z } from 'zod';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';

/** What is known of the hint, in run/ as the hint itself: its time when it was taken, and when that was. */
const takenShape = z.object({ mtimeMs: z.number(), monoMs: z.number() });
const takenBytesMax = 1_000;
/** The agent may be wrong or hostile: it gets one look at the server a minute, however often it asks. */
const betweenMs = 60_000;

/**
 * Did the agent say that there may be news? Only whether the time of its file is another one than before is looked at. A
 * hint that comes too soon is not lost: a later run finds it.
 */
export function takeHint({ files, layout, clock }: Pick<Appliance, 'files' | 'layout' | 'clock'>): boolean {
  const hint = files.stat(layout.hint);
  if (hint === null) return false;
  const path = `${layout.run}/hint-taken.json`;
  const parsed = takenShape.safeParse(readJson(files, path, takenBytesMax));
  const now = clock.monoMs();
  const before = parsed.success ? parsed.data : null;
  if (before?.mtimeMs === hint.mtimeMs) return false;
  if (before !== null && now - before.monoMs < betweenMs) return false;
  // The first run of a boot finds the file as it was made: it looks at the server anyway.
  const monoMs = before === null ? now - betweenMs : now;
  replaceJson(files, path, { mtimeMs: hint.mtimeMs, monoMs }, 0o600);
  return before !== null;
}
