import { HttpError } from '../effects/http.ts';
import type { ByteSource } from './byte-source.ts';
import { ReleaseError } from './release-error.ts';

/** One place that may have a bundle. */
export interface Candidate {
  readonly name: string;
  open(): Promise<ByteSource>;
}

/** Is told what each place did wrong. */
type Failed = (name: string, error: Error) => void;

function isSourcesFault(error: unknown): error is HttpError | ReleaseError {
  return error instanceof HttpError || error instanceof ReleaseError;
}

/**
 * A bundle that several places may have, asked one after the other: where one fails, the next one carries on at the byte
 * that is missing. The last one's failure is the caller's.
 */
export async function openFirst(candidates: readonly Candidate[], failed: Failed): Promise<ByteSource> {
  const left = [...candidates];
  return new FallingOver(await openNext(left, null, failed), left, failed);
}

/** @param size of the bundle, once it is known: another one is another bundle */
async function openNext(left: Candidate[], size: number | null, failed: Failed): Promise<ByteSource> {
  for (let last: unknown = null; ; ) {
    const candidate = left.shift();
    if (candidate === undefined) throw last ?? new ReleaseError('unreachable', 'there is no source of this bundle');
    try {
      const source = await candidate.open();
      if (size === null || source.size === size) return source;
      source.close();
      throw new ReleaseError('bad-bundle', `${candidate.name} has a bundle of another size`);
    } catch (error) {
      if (!isSourcesFault(error)) throw error;
      failed(candidate.name, error);
      last = error;
    }
  }
}

class FallingOver implements ByteSource {
  readonly size: number;
  readonly #left: Candidate[];
  readonly #failed: Failed;
  #current: ByteSource;

  constructor(first: ByteSource, left: Candidate[], failed: Failed) {
    this.#current = first;
    this.size = first.size;
    this.#left = left;
    this.#failed = failed;
  }

  get name(): string {
    return this.#current.name;
  }

  get wholeOnly(): boolean {
    return this.#current.wholeOnly === true;
  }

  close(): void {
    this.#current.close();
  }

  readonly distrust = async (): Promise<boolean> => {
    if (this.#left.length === 0) return false;
    const why = `${this.name} sends chunks that do not have their digest`;
    await this.#moveOn(new ReleaseError('bad-chunk', why));
    return true;
  };

  async read(position: number, length: number): Promise<Buffer> {
    for (;;) {
      try {
        return await this.#current.read(position, length);
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
        // The taker's word ends it: another source would not change its mind.
        isRefused = true;
        throw error;
      }
      done += piece.length;
    };
    for (;;) {
      try {
        await this.#current.stream(position + done, length - done, counted);
        return;
      } catch (error) {
        if (isRefused) throw error;
        await this.#moveOn(error);
      }
    }
  }

  /** The candidates bound how often that can happen. */
  async #moveOn(error: unknown): Promise<void> {
    if (!isSourcesFault(error) || this.#left.length === 0) throw error;
    this.#failed(this.name, error);
    this.#current.close();
    this.#current = await openNext(this.#left, this.size, this.#failed);
  }
}
