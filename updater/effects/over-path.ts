import { shareOfTime } from '../../protocol/network-path.ts';
import { effectTexts } from '../words/texts.ts';
import type { EntryHttp, Http } from './http.ts';

/** Work over the network path, and how to tell that it was not verified. */
export interface PathWork<T> {
  /** For all entries together; later entries share what is left. */
  readonly totalMs: number;
  /** @throws errors that {@link isUnverified} distinguishes from all others; what it returns is verified */
  readonly work: (http: Http, totalMs: number) => Promise<T>;
  /** Whatever answered (a status, a page, another key, silence), another entry may lead to the server. */
  readonly isUnverified: (error: unknown) => error is Error;
  readonly by: Parameters<EntryHttp['proven']>[0];
  /** Logs why an entry was given up for the next one. */
  readonly log?: ((line: string) => void) | undefined;
}

/** The first entry over which the work could be verified; if none is, the caller gets the last one's failure. */
export async function overPath<T>(http: Http, { totalMs, work, isUnverified, by, log }: PathWork<T>): Promise<T> {
  const entries = http.entries?.();
  if (entries === undefined) return work(http, totalMs);
  const startedMs = performance.now();
  for (const [index, entry] of entries.entries()) {
    const left = entries.length - index;
    try {
      const value = await work(entry, shareOfTime(totalMs - (performance.now() - startedMs), left));
      entry.proven(by);
      return value;
    } catch (error) {
      if (!isUnverified(error) || left === 1) throw error;
      log?.(effectTexts.nextEntry(entry.words, error.message));
    }
  }
  throw new RangeError('a network path has an entry');
}

/** Each entry of the path separately. */
export function entriesOf(http: Http): readonly Http[] {
  return http.entries?.() ?? [http];
}
