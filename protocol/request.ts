import { z } from 'zod';
import { digestShape } from './digest.ts';
import { uuidShape } from './ids.ts';
import { namedSourcesShape } from './sources.ts';

/** What a person asks the updater for: one file in run/requests, named `<id>.json`, written by the page's user or root. */
export const requestKinds = ['retry', 'rollback', 'install', 'check', 'set-sources'] as const;
export const requestBytesMax = 4 * 1024;

export const requestShape = z.discriminatedUnion('kind', [
  /** Look for a release now. */
  z.object({ v: z.literal(1), id: uuidShape, kind: z.literal('check') }),
  /** Lift the quarantine of a release (of every one when `manifest` is absent) and look again. */
  z.object({ v: z.literal(1), id: uuidShape, kind: z.literal('retry'), manifest: digestShape.optional() }),
  /**
   * Go back to the previous version of the agent. `data`: also where that loses sight of today's data, to the snapshot of
   * this transaction and of this age in hours, as the person was told it.
   */
  z.object({
    v: z.literal(1),
    id: uuidShape,
    kind: z.literal('rollback'),
    data: z.object({ tx: z.int().min(0), ageH: z.int().min(0) }).optional(),
  }),
  /** Install a bundle. The page may only name a file in its own uploads; root may name any path. */
  z.object({ v: z.literal(1), id: uuidShape, kind: z.literal('install'), file: z.string().min(1).max(400) }),
  /** Change where releases come from; what is not named stays as it is. */
  z.object({ v: z.literal(1), id: uuidShape, kind: z.literal('set-sources'), sources: namedSourcesShape }),
]);
export type Request = z.infer<typeof requestShape>;
