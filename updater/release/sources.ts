import {
  type NamedSources,
  namedSourcesShape,
  noSources,
  type Source,
  type SourceOrigin,
  type Sources,
  type SourcesFile,
  sourceKinds,
  sourcesFileShape,
  sourcesShape,
} from '../../protocol/sources.ts';
import { FileTooLargeError, readJson, replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { type Files, NotARegularFileError } from '../effects/files.ts';
import type { TrustPlace } from './trust-files.ts';

/** updater/sources.json: the updater's own way out. What is in it can delay, and change nothing else. */

/** Four certificates of 8,000 bytes, twice, and the rest. */
const bytesMax = 100_000;

export interface SourcesChange {
  readonly outcome: 'changed' | 'unchanged' | 'refused';
  readonly text: string;
}

/** The sources to try, the newest first; the ones before it only until it has answered. Damaged is as if there were none. */
export function sourcesInUse(place: TrustPlace): readonly Sources[] {
  const file = readSources(place);
  if (file === null) return [noSources];
  return file.previous === null ? [file.current] : [file.current, file.previous];
}

export function readSources({ files, layout }: TrustPlace): SourcesFile | null {
  const parsed = sourcesFileShape.safeParse(readOrNull(files, layout.sources));
  return parsed.success ? parsed.data : null;
}

/** What a person wrote into a file, as far as they named it; null when it is not that. */
export function readSourcesFile(files: Files, path: string): NamedSources | null {
  const parsed = namedSourcesShape.safeParse(readOrNull(files, path));
  return parsed.success ? parsed.data : null;
}

function readOrNull(files: Files, path: string): unknown {
  try {
    return readJson(files, path, bytesMax);
  } catch (error) {
    const isOdd = error instanceof FileTooLargeError || error instanceof NotARegularFileError;
    if (error instanceof SyntaxError || isOdd) return null;
    throw error;
  }
}

/**
 * Takes new sources: signed ones when their number is higher than the one here; a person's always, with a number of
 * their own, so that they stay until somebody signs a higher one.
 */
export function takeSources(place: TrustPlace, given: unknown, origin: SourceOrigin): SourcesChange {
  const parsed = sourcesShape.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const why = issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
    return { outcome: 'refused', text: `These are not sources that can be used${why}. Nothing was changed.` };
  }
  const before = readSources(place);
  const known = before?.current ?? noSources;
  if (origin === 'targets' && parsed.data.seq <= known.seq) return { outcome: 'unchanged', text: 'They are known.' };
  if (isSame(parsed.data, known)) return { outcome: 'unchanged', text: 'These sources are in use already.' };
  const seq = origin === 'targets' ? parsed.data.seq : Math.max(parsed.data.seq, known.seq + 1);
  const current = { ...parsed.data, seq, origin };
  // Never the ones that have not answered either.
  const previous = before?.previous ?? known;
  replaceJson(place.files, place.layout.sources, { v: 1, current, previous } satisfies SourcesFile, 0o600);
  return { outcome: 'changed', text: 'The new sources are tried; the old ones are kept until the new ones answer.' };
}

/** The newest sources brought something that could be verified: the old ones are not needed any more. */
export function sourcesAnswered(place: TrustPlace, which: Sources): void {
  const file = readSources(place);
  if (file === null || file.previous === null || file.current.seq !== which.seq) return;
  whereThereIsRoom(() => replaceJson(place.files, place.layout.sources, { ...file, previous: null }, 0o600));
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
