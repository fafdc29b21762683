import type { Digest } from '../protocol/digest.ts';
import {
  directEntry,
  entryWords,
  inTurn,
  isSameEntry,
  networkPathBytesMax,
  networkPathDigest,
  networkPathShape,
  type PathEntry,
  shareOfTime,
} from '../protocol/network-path.ts';
import type { AgentFiles, Log, Over } from './effects/effects.ts';
import { HttpError } from './effects/http.ts';
import { AgentError, systemCode } from './errors.ts';
import { checkInTexts } from './texts.ts';

/** For one round trip over all entries; a slow site gets half a minute, and the next try comes within a minute. */
const roundTripMs = 30_000;

const directPath: readonly PathEntry[] = [directEntry];

/**
 * The network path to the server as the updater publishes it: its entries are tried in order until one brings a
 * verified answer. That entry goes first from then on, until the updater publishes another path.
 */
export class NetworkPath {
  readonly #files: AgentFiles;
  readonly #path: string;
  readonly #log: Log;
  #entries: readonly PathEntry[] = directPath;
  #verified: PathEntry | null = null;

  constructor(files: AgentFiles, path: string, log: Log) {
    this.#files = files;
    this.#path = path;
    this.#log = log;
  }

  /** Names the entries in use, for the updater. */
  get digest(): Digest {
    return networkPathDigest(this.#entries);
  }

  /** The entry that is tried first. */
  get first(): PathEntry {
    return inTurn(this.#entries, this.#verified)[0] ?? directEntry;
  }

  /** Reads what the updater published. A missing or unreadable file means the direct path. */
  async read(): Promise<void> {
    const entries = entriesIn(await this.#text());
    if (networkPathDigest(entries) === this.digest) return;
    this.#entries = entries;
    this.#verified = null;
  }

  /**
   * One round trip over each entry in turn; together they share the time of one.
   * @returns the first verified outcome, or the last one
   * @throws HttpError when the last entry brought no answer at all
   */
  async over<T>(work: (over: Over) => Promise<T>, isVerified: (outcome: T) => boolean): Promise<T> {
    await this.read();
    const turn = inTurn(this.#entries, this.#verified);
    const startedMs = performance.now();
    for (const [index, entry] of turn.entries()) {
      const left = turn.length - index;
      const totalMs = shareOfTime(roundTripMs - (performance.now() - startedMs), left);
      try {
        const outcome = await work({ entry, totalMs });
        if (isVerified(outcome)) this.#proven(entry);
        if (isVerified(outcome) || left === 1) return outcome;
      } catch (error) {
        if (!(error instanceof HttpError) || left === 1) throw error;
      }
    }
    throw new RangeError('a network path has an entry');
  }

  /** Logged when it changes, not at each check-in. */
  #proven(entry: PathEntry): void {
    if (this.#verified !== null && isSameEntry(this.#verified, entry)) return;
    this.#verified = entry;
    this.#log.info({ code: 'network-path' }, checkInTexts.answersBy(entryWords(entry)));
  }

  async #text(): Promise<string | null> {
    try {
      return await this.#files.readText(this.#path, networkPathBytesMax);
    } catch (error) {
      if (error instanceof AgentError || systemCode(error) !== null) return null;
      throw error;
    }
  }
}

function entriesIn(text: string | null): readonly PathEntry[] {
  if (text === null) return directPath;
  try {
    const parsed = networkPathShape.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.entries : directPath;
  } catch (error) {
    if (error instanceof SyntaxError) return directPath;
    throw error;
  }
}
