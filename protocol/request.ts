import { z } from 'zod';
import { digestShape } from './digest.ts';
import { uuidShape } from './ids.ts';
import { namedSourcesShape } from './sources.ts';

/**
 * A person's request to the updater: one file, named `<id>.json`, from the page's user in run/requests or from root in
 * run/own-requests.
 */
export const requestKinds = ['retry', 'rollback', 'install', 'check', 'set-sources'] as const;
export const requestBytesMax = 4 * 1024;

export const requestShape = z.discriminatedUnion('kind', [
  /** Look for a release now. */
  z.object({ v: z.literal(1), id: uuidShape, kind: z.literal('check') }),
  /** Lift the quarantine of a release (of the newest one when `manifest` is absent) and look again. */
  z.object({ v: z.literal(1), id: uuidShape, kind: z.literal('retry'), manifest: digestShape.optional() }),
  /**
   * Go back to the previous version of the agent. `manifest`: of the version that the person was shown; if the updater
   * would now go back to another, it refuses. `data`: allows going back even if today's data is then no longer in use,
   * to the snapshot of this transaction and of this age in hours, as the person was told it.
   */
  z.object({
    v: z.literal(1),
    id: uuidShape,
    kind: z.literal('rollback'),
    manifest: digestShape.optional(),
    data: z.object({ tx: z.int().min(0), ageH: z.int().min(0) }).optional(),
  }),
  /** Install a bundle. The page may only name a file in its own uploads; root may name any path. */
  z.object({
    v: z.literal(1),
    id: uuidShape,
    kind: z.literal('install'),
    file: z.string().min(1).max(400),
    /** The person's name for the file, if `file` is a copy of it. */
    shownAs: z.string().min(1).max(400).optional(),
  }),
  /**
   * Change the sources of releases; fields that are not named stay as they are. `shown`: what the person was shown, as
   * the status names it; if it has changed since, the request is refused.
   */
  z.object({
    v: z.literal(1),
    id: uuidShape,
    kind: z.literal('set-sources'),
    sources: namedSourcesShape,
    shown: digestShape.optional(),
  }),
]);
export type Request = z.infer<typeof requestShape>;
