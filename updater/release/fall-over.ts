import { TrustError } from '../../protocol/trust/trust-error.ts';
import { HttpError } from '../effects/http-error.ts';
import { ReleaseError, type ReleaseErrorCode } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import type { ByteSource } from './byte-source.ts';
import type { Bundle } from './open-bundle.ts';

/** One source that may have a bundle. `open` throws when it does not have the wanted bundle. */
export interface Candidate {
  readonly name: string;
  open(): Promise<Bundle>;
}

/** Called with the failure of each source. */
type Failed = (name: string, error: Error) => void;

/** Failures of one source that another may not have: it does not answer, or it has another file. */
const copyCodes = new Set<ReleaseErrorCode>([
  'bad-bundle',
  'bad-chunk',
  'http-status',
  'not-a-bundle',
  'range-ignored',
  'truncated',
  'wrong-manifest',
]);

type SourceFault = HttpError | ReleaseError | TrustError;

function isSourcesFault(error: unknown): error is SourceFault {
  // Untrusted metadata in a copy says nothing about the release.
  if (error instanceof HttpError || error instanceof TrustError) return true;
  return error instanceof ReleaseError && copyCodes.has(error.code);
}

/**
 * The first source whose bundle is the wanted one and passes `accept`, with the result of that. If the source fails
 * later, the next one continues at the missing byte. If all fail, the caller gets the last one's failure; a fault of
 * the release itself is the same everywhere and is thrown at once.
 */
export async function firstAccepted<Accepted>(
  candidates: readonly Candidate[],
  accept: (bundle: Bundle) => Accepted,
  failed: Failed,
): Promise<Accepted & { readonly bundle: Bundle }> {
  const left = [...candidates];
  for (;;) {
    const bundle = await openNext(left, failed);
    try {
      return { ...accept(bundle), bundle: { ...bundle, source: new FallingOver(bundle, left, failed) } };
    } catch (error) {
      bundle.source.close();
      if (!isSourcesFault(error) || left.length === 0) throw error;
      failed(bundle.source.name, error);
    }
  }
}

async function openNext(left: Candidate[], failed: Failed): Promise<Bundle> {
  for (let last: SourceFault | null = null; ; ) {
    const candidate = left.shift();
    if (candidate === undefined) throw last ?? new ReleaseError('unreachable', releaseTexts.noSource);
    try {
      return await candidate.open();
    } catch (error) {
      if (!isSourcesFault(error)) throw error;
      failed(candidate.name, error);
      last = error;
    }
  }
}

const entries = ['chunks', 'patches'] as const;

/** The frames are the same, whatever metadata precedes them: it may be older in one source than in another. */
function requireSameFrames(bundle: Bundle, first: Bundle): void {
  for (const entry of entries) {
    if (bundle[entry]?.size === first[entry]?.size) continue;
    throw new ReleaseError('bad-bundle', releaseTexts.otherSize(bundle.source.name, entry));
  }
}

/** The frames of a bundle by their positions in the first source, wherever they are in the current one. */
class FallingOver implements ByteSource {
  readonly #first: Bundle;
  readonly #left: Candidate[];
  readonly #failed: Failed;
  #current: Bundle;

  constructor(first: Bundle, left: Candidate[], failed: Failed) {
    this.#first = first;
    this.#current = first;
    this.#left = left;
    this.#failed = failed;
  }

  get name(): string {
    return this.#current.source.name;
  }

  get size(): number {
    return this.#first.source.size;
  }

  get wholeOnly(): boolean {
    return this.#current.source.wholeOnly === true;
  }

  close(): void {
    this.#current.source.close();
  }

  readonly distrust = async (): Promise<boolean> => {
    if (this.#left.length === 0) return false;
    const why = releaseTexts.wrongDigests(this.name);
    await this.#moveOn(new ReleaseError('bad-chunk', why));
    return true;
  };

  async read(position: number, length: number): Promise<Buffer> {
    for (;;) {
      try {
        return await this.#current.source.read(this.#here(position), length);
      } catch (error) {
        await this.#moveOn(error);
      }
    }
  }

  async stream(position: number, length: number, take: (piece: Buffer) => void): Promise<void> {
    let done = 0;
    let isRefused = false;
    const counted = (piece: Buffer): void => {
      try {
        take(piece);
      } catch (error) {
        // The consumer's refusal ends it: another source would not change it.
        isRefused = true;
        throw error;
      }
      done += piece.length;
    };
    for (;;) {
      try {
        await this.#current.source.stream(this.#here(position + done), length - done, counted);
        return;
      } catch (error) {
        if (isRefused) throw error;
        await this.#moveOn(error);
      }
    }
  }

  #here(position: number): number {
    for (const entry of entries) {
      const from = this.#first[entry];
      const to = this.#current[entry];
      if (from === null || to === null || position < from.position || position > from.position + from.size) continue;
      return position - from.position + to.position;
    }
    throw new RangeError(releaseTexts.notAmongFrames(position));
  }

  /** The number of candidates limits how often this can happen. */
  async #moveOn(error: unknown): Promise<void> {
    if (!isSourcesFault(error) || this.#left.length === 0) throw error;
    this.#failed(this.name, error);
    this.#current.source.close();
    for (;;) {
      const next = await openNext(this.#left, this.#failed);
      try {
        requireSameFrames(next, this.#first);
        this.#current = next;
        return;
      } catch (wrong) {
        next.source.close();
        if (!isSourcesFault(wrong) || this.#left.length === 0) throw wrong;
        this.#failed(next.source.name, wrong);
      }
    }
  }
}
