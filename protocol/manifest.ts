import { z } from 'zod';
import { componentShape } from './component.ts';
import { digestShape } from './digest.ts';
import { contradiction } from './manifest-rules.ts';
import {
  baseShape,
  bytesShape,
  chunkShape,
  imageShape,
  linkShape,
  manifestLimits,
  pathShape,
  runtimeShape,
  treeShape,
} from './payload.ts';
import { versionShape } from './version.ts';

const stateRangeShape = z
  .object({ reads: z.object({ min: z.int().min(0), max: z.int().min(0) }), writes: z.int().min(0) })
  .refine(({ reads, writes }) => reads.min <= writes && writes <= reads.max, 'a version can read what it writes');

/** What a release asks of its trial; an appliance uses it where it is longer than its own standard. */
export const trialAskedShape = z
  .object({
    healthyMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax),
    deadlineMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax),
    /**
     * For a version whose migration takes longer than its work may stand still: the time for that, beside the deadline.
     */
    migrationMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax).optional(),
  })
  .refine(({ healthyMs, deadlineMs }) => healthyMs <= deadlineMs, 'a trial can be passed before its deadline');
export type TrialAsked = z.infer<typeof trialAskedShape>;

const manifestFields = z.object({
  format: z.literal(1),
  /** Features that a reader must understand to install this; it refuses the manifest if it does not know one. */
  critical: z.array(z.string().max(60)).max(16).default([]),
  component: componentShape,
  version: versionShape,
  /** Rises when an older release must not come back. */
  securityVersion: z.int().min(0),
  /** Path of the program within the slot; null for an image, which has none. */
  entry: pathShape.nullable(),
  /** null: the runtime that comes with the operating system's image. */
  runtime: runtimeShape.nullable(),
  files: treeShape,
  links: z.array(linkShape).max(manifestLimits.linksMax).default([]),
  /** What a device slot holds instead of files. */
  image: imageShape.nullable().default(null),
  chunks: z.array(chunkShape).max(manifestLimits.chunksMax),
  bases: z.array(baseShape).max(manifestLimits.basesMax).default([]),
  compatibility: z.object({
    hardware: z.array(z.string().max(100)).max(32).default([]),
    /** The oldest updater that can install this. */
    updater: versionShape.optional(),
    /** The oldest operating system that this runs on. */
    os: versionShape.optional(),
    /** The oldest version of the same component that may be updated to this one directly. */
    from: versionShape.optional(),
    /** State schemas that this version can read, and the one that it writes. */
    state: stateRangeShape,
  }),
  trial: trialAskedShape.optional(),
  /** The largest agent's state that a snapshot may hold. */
  stateBytesMax: bytesShape,
  source: z.object({ commit: z.string().max(80), builtBy: z.string().max(200) }),
  sbom: digestShape,
});

/**
 * The most entries of any list in a manifest. Checked before any entry, because otherwise a million of them would be.
 */
const listMax = Math.max(manifestLimits.filesMax, manifestLimits.chunksMax);

export const manifestShape = z
  .unknown()
  .refine((value) => !hasLongList(value), `no list has more than ${listMax} entries`)
  .pipe(
    manifestFields.superRefine((manifest, context) => {
      const found = contradiction(manifest);
      if (found !== null) context.addIssue(found);
    }),
  );
export type Manifest = z.infer<typeof manifestFields>;
export type ManifestInput = z.input<typeof manifestFields>;

/** The TUF target path of a release's manifest; below `targets/` its digest precedes it (consistent snapshots). */
export function manifestTargetName(component: string, version: string): string {
  return `${component}-${version}.manifest.json`;
}

/** The bundle's file name, e.g. `app-1.0.52.hfb`. */
export function bundleName(component: string, version: string): string {
  return `${component}-${version}.hfb`;
}

/** Searches lists and objects alike, but without recursion, and never along a list that is too long. */
function hasLongList(value: unknown): boolean {
  const pending = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (Array.isArray(next)) {
      if (next.length > listMax) return true;
      for (const item of next) if (isContainer(item)) pending.push(item);
    } else if (isContainer(next)) {
      for (const item of Object.values(next)) if (isContainer(item)) pending.push(item);
    }
  }
  return false;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
