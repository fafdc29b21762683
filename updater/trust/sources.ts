import type { z } from 'zod';
import { sourcesStepMax } from '../../protocol/bounded-step.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import {
  directEntry,
  inTurn,
  isSameEntry,
  type PathEntry,
  pathEntryShape,
  shownProxy,
} from '../../protocol/network-path.ts';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import {
  type NamedSources,
  namedSourcesShape,
  noSources,
  type Source,
  type Sources,
  type SourcesFile,
  sourceKinds,
  sourcesFileShape,
  sourcesShape,
} from '../../protocol/sources.ts';
import { FileTooLargeError, readJson, replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { type Files, NotARegularFileError } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';
import { trustTexts } from '../words/texts.ts';
import type { TrustPlace } from './trust-files.ts';

/**
 * updater/sources.json: where releases come from, and the network path. Its content can cause delay, and nothing else.
 */

/** Four certificates of 8,000 bytes and 32 hosts, four times, and the rest. */
const bytesMax = 190_000;
const mode = 0o600;
/** No count goes above this: the next number is the first one again. */
const numberMax = 1_000_000_000;

export type SourcesRefusal = 'sources-invalid' | 'sources-number';
export type SourcesChange =
  | { readonly outcome: 'changed' | 'unchanged'; readonly text: string }
  | { readonly outcome: 'refused'; readonly code: SourcesRefusal; readonly text: string };

/** The metadata that signed sources came from: a later root, or a later version of the targets, is newer. */
export interface SignedBy {
  readonly root: number;
  readonly targets: number;
}

/**
 * The sources to take releases from, the newest first; the former ones only until the newest have answered. A damaged
 * file counts as none.
 */
export function sourcesInUse(place: TrustPlace): readonly Sources[] {
  const file = readSources(place);
  if (file === null) return [noSources];
  return file.previous === null ? [file.current] : [file.current, file.previous];
}

export function readSources({ files, layout }: TrustPlace): SourcesFile | null {
  return readKept(files, layout.sources, bytesMax, sourcesFileShape);
}

/** Names what people are shown of the sources; it reveals nothing about the name and the password of a proxy. */
export function sourcesShown(file: SourcesFile | null): Digest {
  if (file === null) return sha256('null');
  const { releases, proxy, rateBytesPerS } = file.current;
  return sha256(JSON.stringify([releases, proxy === null ? null : shownProxy(proxy), rateBytesPerS]));
}

/** The sources in a person's file, as far as they are named; else why the file is invalid. */
export function readSourcesFile(
  files: Files,
  path: string,
): { readonly sources: NamedSources } | { readonly why: string } {
  const found = readOrWhy(files, path);
  if ('why' in found) return found;
  const unknown = unknownFieldsText(unknownFields(namedSourcesShape, found.value));
  if (unknown !== '') return { why: unknown };
  const parsed = namedSourcesShape.safeParse(found.value);
  return parsed.success ? { sources: parsed.data } : { why: shapeProblem(parsed.error) };
}

function readOrWhy(files: Files, path: string): { readonly value: unknown } | { readonly why: string } {
  try {
    if (files.stat(path) === null) return { why: trustTexts.notThere };
    return { value: readJson(files, path, bytesMax) };
  } catch (error) {
    if (error instanceof SyntaxError) return { why: trustTexts.notJson };
    if (error instanceof FileTooLargeError || error instanceof NotARegularFileError)
      return { why: trustTexts.notPlain };
    throw error;
  }
}

/**
 * The entries of the network path, at most three: the sources that were set last, the path that was verified last, and
 * the one of set-up, because what works today may be retired tomorrow.
 */
export function pathInUse(place: TrustPlace): readonly PathEntry[] {
  const file = readSources(place);
  return file === null ? [directEntry] : pathIn(file);
}

function pathIn(file: SourcesFile): readonly PathEntry[] {
  return inTurn([entryOf(file.current), verifiedIn(file), file.setUp ?? directEntry]);
}

/** The path over which the server last answered. */
export function verifiedPath(place: TrustPlace): PathEntry {
  const file = readSources(place);
  return file === null ? directEntry : verifiedIn(file);
}

export function rateInUse(place: TrustPlace): number | null {
  return readSources(place)?.current.rateBytesPerS ?? null;
}

/** In a file of an older updater, the kept sources show it. */
function verifiedIn({ verified, previous, current }: SourcesFile): PathEntry {
  return verified ?? entryOf(previous ?? current);
}

function entryOf({ proxy, noProxy, ca }: Sources): PathEntry {
  return { proxy, ca, ...(noProxy === undefined ? {} : { noProxy }) };
}

/**
 * Takes what a person or a stick brings: it holds now, and until the signed sources change. Without a number it keeps
 * the current one; a number too far ahead is refused, because older updaters rely on it.
 */
export function takeSources(place: TrustPlace, given: unknown, origin: 'page' | 'stick'): SourcesChange {
  const parsed = sourcesShape.safeParse(given);
  if (!parsed.success) return refused(parsed.error);
  const before = readSources(place);
  const known = before?.current ?? noSources;
  if (parsed.data.seq > known.seq + sourcesStepMax) {
    const text = trustTexts.numberTooLarge(parsed.data.seq, sourcesStepMax, known.seq);
    return { outcome: 'refused', code: 'sources-number', text };
  }
  if (isSame(parsed.data, known)) return { outcome: 'unchanged', text: trustTexts.inUse };
  const seq = Math.max(parsed.data.seq, known.seq + 1);
  write(place, before, { ...parsed.data, seq: seq > numberMax ? 1 : seq, origin });
  return {
    outcome: 'changed',
    text: trustTexts.newTried,
  };
}

/**
 * Takes what the signed targets name, if it differs from what they named last and comes from newer metadata: whatever
 * number a person, a stick or the file here has.
 */
export function takeSignedSources(place: TrustPlace, given: Sources, by: SignedBy): SourcesChange {
  const parsed = sourcesShape.safeParse(given);
  if (!parsed.success) return refused(parsed.error);
  const before = readSources(place);
  const signed = { digest: sha256(JSON.stringify(parsed.data)), ...by };
  const last = before?.signed;
  const isKnown = last !== undefined && (last.digest === signed.digest || !isNewer(signed, last));
  if (isKnown) return { outcome: 'unchanged', text: trustTexts.known };
  // An older updater kept no digest: by its rule, a number that is not higher had been taken, or a person came after
  // it.
  if (last === undefined && before !== null && parsed.data.seq <= before.current.seq) {
    replaceJson(place.files, place.layout.sources, { ...before, signed } satisfies SourcesFile, mode);
    return { outcome: 'unchanged', text: trustTexts.known };
  }
  write(place, before, { ...parsed.data, origin: 'targets' }, signed);
  return {
    outcome: 'changed',
    text: trustTexts.signedTried,
  };
}

/** None were taken yet, which an older updater could not record. */
const noneSigned = { digest: sha256(''), root: 0, targets: 0 } as const;

function signedIn(before: SourcesFile | null): SourcesFile['signed'] {
  return before === null ? noneSigned : before.signed;
}

function isNewer(one: SignedBy, other: SignedBy): boolean {
  return one.root > other.root || (one.root === other.root && one.targets > other.targets);
}

function refused({ issues: [issue] }: z.ZodError): SourcesChange {
  const why = issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
  const text = trustTexts.unusable(why);
  return { outcome: 'refused', code: 'sources-invalid', text };
}

function write(
  { files, layout }: TrustPlace,
  before: SourcesFile | null,
  current: SourcesFile['current'],
  signed = signedIn(before),
): void {
  // Never sources that have not answered either.
  const previous = before === null ? noSources : (before.previous ?? before.current);
  const verified = before === null ? directEntry : verifiedIn(before);
  const kept = { ...setUpIn(before), ...(signed === undefined ? {} : { signed }) };
  replaceJson(files, layout.sources, { v: 1, current, previous, verified, ...kept } satisfies SourcesFile, mode);
}

function setUpIn(before: SourcesFile | null): Pick<SourcesFile, 'setUp'> {
  return before?.setUp === undefined ? {} : { setUp: before.setUp };
}

/** The server's answer came over this entry and was verified. */
export function sourcesAnswered(place: TrustPlace, entry: PathEntry): void {
  const file = readSources(place);
  if (file === null) return;
  const previous = isSameEntry(entry, entryOf(file.current)) ? null : file.previous;
  if (isSameEntry(entry, verifiedIn(file)) && previous === file.previous) return;
  // Only the entry's own fields: it may carry more than is kept.
  const verified = pathEntryShape.parse(entry);
  whereThereIsRoom(() => replaceJson(place.files, place.layout.sources, { ...file, previous, verified }, mode));
}

/**
 * The entry over which set-up reached the server becomes the first path, verified, and from then on stays the last one,
 * whatever is set.
 */
export function settleSetUpPath(place: TrustPlace, entry: PathEntry): void {
  const before = readSources(place);
  if (before === null && isSameEntry(entry, directEntry)) return;
  const { noProxy: _left, ...known } = before?.current ?? noSources;
  const isKnown = before !== null && isSameEntry(entry, entryOf(before.current));
  const seq = isKnown ? known.seq : Math.min(known.seq + 1, numberMax);
  const verified = pathEntryShape.parse(entry);
  const current = { ...known, ...verified, seq, origin: before?.current.origin ?? ('page' as const) };
  const signed = signedIn(before);
  // Repeated over a known path, set-up found nothing new: the former last entry stays.
  const isOnPath = before !== null && pathIn(before).some((known) => isSameEntry(known, entry));
  const kept = { ...(isOnPath ? setUpIn(before) : { setUp: verified }), ...(signed === undefined ? {} : { signed }) };
  const file: SourcesFile = { v: 1, current, previous: null, verified, ...kept };
  replaceJson(place.files, place.layout.sources, file, mode);
}

function isSame(one: Sources, other: Sources): boolean {
  const { seq: _one, ...left } = sourcesShape.parse(one);
  const { seq: _other, ...right } = sourcesShape.parse(other);
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Neighbours first, then caches, then CDNs; each kind in its own order. */
export function inOrder(releases: readonly Source[]): readonly Source[] {
  return sourceKinds.flatMap((kind) => releases.filter((source) => source.kind === kind));
}
