import { z } from 'zod';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';

/** What is known about the hint, kept in run/ like the hint: the hint's time when it was taken, and when that was. */
const takenShape = z.object({ mtimeMs: z.number(), monoMs: z.number() });
const takenBytesMax = 1_000;
/** The agent may be wrong or hostile: it gets one look at the server a minute, however often it asks. */
const betweenMs = 60_000;

/**
 * Did the agent say that there may be news? Only a change of the file's time counts. A hint that comes too soon is not
 * lost: a later run finds it.
 */
export function takeHint({ files, layout, clock }: Pick<Appliance, 'files' | 'layout' | 'clock'>): boolean {
  const hint = files.stat(layout.hint);
  if (hint === null) return false;
  const path = `${layout.run}/hint-taken.json`;
  const before = readKept(files, path, takenBytesMax, takenShape);
  const now = clock.monoMs();
  if (before?.mtimeMs === hint.mtimeMs) return false;
  if (before !== null && now - before.monoMs < betweenMs) return false;
  // The first run of a boot finds the file as it was created, and asks the server anyway.
  const monoMs = before === null ? now - betweenMs : now;
  replaceJson(files, path, { mtimeMs: hint.mtimeMs, monoMs }, 0o600);
  return before !== null;
}
