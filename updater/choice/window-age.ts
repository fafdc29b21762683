import { join } from 'node:path';
import { z } from 'zod';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { readKept } from '../effects/kept-file.ts';

/** How long the committed version has run, as far as runs observed it: the age of the earlier data. */

/** Kept in run/: only time between consecutive runs of this boot counts. */
export const lookShape = z.object({ boot: z.string(), committed: z.string(), atMs: z.number(), unsavedMs: z.number() });

export function lookPath({ layout }: Appliance): string {
  return join(layout.run, 'window.json');
}

/** Running time since the commit, as far as runs observed it: what the record has, and what is not saved yet. */
export function windowAgeMs(appliance: Appliance, { app, windowUsedMs }: StateBody): number {
  const { files, clock } = appliance;
  const look = readKept(files, lookPath(appliance), 1_000, lookShape);
  if (look?.boot !== clock.bootId() || look.committed !== app.committed.manifest) return windowUsedMs;
  return windowUsedMs + look.unsavedMs + Math.max(0, clock.monoMs() - look.atMs);
}
