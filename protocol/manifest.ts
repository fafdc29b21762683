import { z } from 'zod';
import { componentShape } from './component.ts';
import { digestShape } from './digest.ts';
import {
  baseShape,
  bytesShape,
  chunkShape,
  type FileEntry,
  imageShape,
  installedBytes,
  linkedPath,
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

const manifestFields = z.object({
  format: z.literal(1),
  /** Names of what a reader must understand to install this; one that it does not know makes it refuse. */
  critical: z.array(z.string().max(60)).max(16).default([]),
  component: componentShape,
  version: versionShape,
  /** Rises when an older release must not come back. */
  securityVersion: z.int().min(0),
  /** Path of the program within the slot; null for an image, which has none. */
  entry: pathShape.nullable(),
  /** null: the runtime that the operating system's image brings. */
  runtime: runtimeShape.nullable(),
  files: treeShape,
  links: z.array(linkShape).max(manifestLimits.linksMax).default([]),
  /** What a device slot holds, instead of files. */
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
  trial: z
    .object({
      healthyMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax),
      deadlineMs: z.int().min(0).max(manifestLimits.trialHealthyMsMax),
    })
    .refine(({ healthyMs, deadlineMs }) => healthyMs <= deadlineMs, 'a trial can be passed before its deadline')
    .optional(),
  /** The agent's state that a snapshot may hold at the most. */
  stateBytesMax: bytesShape,
  source: z.object({ commit: z.string().max(80), builtBy: z.string().max(200) }),
  sbom: digestShape,
});

export const manifestShape = manifestFields.superRefine((manifest, context) => {
  for (const issue of contradictions(manifest)) context.addIssue(issue);
});
export type Manifest = z.infer<typeof manifestShape>;
export type ManifestInput = z.input<typeof manifestShape>;

/** The TUF target path of a release's manifest; below `targets/` it is prefixed by its digest (consistent snapshots). */
export function manifestTargetName(component: string, version: string): string {
  return `${component}-${version}.manifest.json`;
}

/** The bundle's file name, e.g. `app-1.0.52.hfb`. */
export function bundleName(component: string, version: string): string {
  return `${component}-${version}.hfb`;
}

/** What each field allows and the whole does not; one sentence each. */
function contradictions(manifest: z.infer<typeof manifestFields>): string[] {
  const { runtime, files, image, entry } = manifest;
  const issues = [...treeContradictions(manifest, files), ...treeContradictions(manifest, runtime?.files ?? [])];
  if ((manifest.component === 'os') !== (image !== null)) issues.push('an os release is an image, and no other one is');
  if (image === null) {
    if (!files.some((file) => file.path === entry)) issues.push('the entry is not among the files');
  } else {
    if (entry !== null || files.length > 0 || manifest.links.length > 0 || runtime !== null)
      issues.push('an image comes without files');
    issues.push(...contentContradictions(manifest, 'the image', image));
  }
  if (runtime !== null && !runtime.files.some((file) => file.path === runtime.entry)) {
    issues.push("the runtime's entry is not among its files");
  }
  const payload = installedBytes([...files, ...(runtime?.files ?? [])]) + (image?.size ?? 0);
  if (payload > manifestLimits.payloadBytesMax) issues.push('the payload is larger than any slot');
  return [...issues, ...linkContradictions(manifest), ...patchContradictions(manifest)];
}

type Listed = Pick<Manifest, 'chunks'>;

function contentContradictions(
  { chunks }: Listed,
  name: string,
  content: { readonly size: number; readonly chunks: readonly number[] },
): string[] {
  const sizes = content.chunks.map((index) => chunks[index]?.size);
  if (sizes.some((size) => size === undefined)) return [`${name} names a chunk that is not listed`];
  const sum = sizes.reduce<number>((total, size) => total + (size ?? 0), 0);
  return sum === content.size ? [] : [`the chunks of ${name} do not add up to its size`];
}

/** The name that a path has where capitals, or two ways to write a letter, make no difference. */
function twinOf(path: string): string {
  return path.normalize('NFKC').toUpperCase().toLowerCase();
}

function parentTwins(path: string): string[] {
  const names = twinOf(path).split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

function treeContradictions(manifest: Listed, files: readonly FileEntry[]): string[] {
  const issues: string[] = [];
  const seen = new Set<string>();
  for (const file of files) {
    const twin = twinOf(file.path);
    if (seen.has(twin)) issues.push(`two entries are named ${file.path}`);
    seen.add(twin);
    issues.push(...contentContradictions(manifest, file.path, file));
  }
  for (const { path } of files) {
    if (parentTwins(path).some((parent) => seen.has(parent))) issues.push(`${path} lies below a file`);
  }
  return issues;
}

/** A link names a listed file or a directory of one, never another link, and nothing lies below it. */
function linkContradictions({ files, links }: Pick<Manifest, 'files' | 'links'>): string[] {
  if (links.length === 0) return [];
  const paths = new Set(files.map(({ path }) => path));
  const directories = new Set(files.flatMap(({ path }) => parentTwins(path)));
  const exact = new Set(files.flatMap(({ path }) => path.split('/').map((_, i, all) => all.slice(0, i).join('/'))));
  const taken = new Set([...files.map(({ path }) => twinOf(path)), ...directories]);
  const issues: string[] = [];
  for (const link of links) {
    const twin = twinOf(link.path);
    if (taken.has(twin)) issues.push(`two entries are named ${link.path}`);
    taken.add(twin);
    const named = linkedPath(link);
    if (named === null || !(paths.has(named) || exact.has(named))) {
      issues.push(`the link ${link.path} names nothing in the slot`);
    }
  }
  const linked = new Set(links.map(({ path }) => twinOf(path)));
  const leaves = new Set([...links, ...files].map(({ path }) => twinOf(path)));
  for (const { path } of links) {
    if (parentTwins(path).some((parent) => leaves.has(parent))) issues.push(`${path} lies below a link or a file`);
  }
  for (const { path } of files) {
    const below = parentTwins(path);
    if (below.some((parent) => linked.has(parent))) issues.push(`${path} lies below a link`);
  }
  return issues;
}

function patchContradictions({ chunks, bases }: Pick<Manifest, 'chunks' | 'bases'>): string[] {
  const wrong = chunks.some(({ patches }) =>
    patches?.some(
      ({ dictionary }) =>
        dictionary.reduce((sum, { length }) => sum + length, 0) > manifestLimits.dictionaryBytesMax ||
        dictionary.some(({ base, position, length }) => position + length > (bases[base]?.size ?? -1)),
    ),
  );
  return wrong ? ['a patch uses more of a base than there is'] : [];
}
