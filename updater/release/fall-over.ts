import { HttpError } from '../effects/http.ts';
import type { ByteSource } from './byte-source.ts';
import { ReleaseError } from './release-error.ts';

/** One place that may have a bundle. */
export interface Candidate {
  readonly name: string;
  open(): Promise<ByteSource>;
}

function isSourcesFault(error: unknown): error is HttpError | ReleaseError {
  return error instanceof HttpError || error instanceof ReleaseError;
}

/**
 * A bundle that several places may have, asked one after the other: where one fails, the next one carries on at the byte
 * that is missing. The last one's failure is the caller's.
 * @param failed is told what each place did wrong
 */
export async function openFirst(
  candidates: readonly Candidate[],
  failed: (name: string, error: Error) => void,
): Promise<ByteSource> {
  const left = [...candidates];
  const next = async (size: number | null): Promise<ByteSource> => {
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
  };
  let current = await next(null);
  const { size } = current;
  const moveOn = async (error: unknown): Promise<void> => {
    if (!isSourcesFault(error) || left.length === 0) throw error;
    failed(current.name, error);
    current.close();
    current = await next(size);
  };
  return {
    get name() {
      return current.name;
    },
    size,
    get wholeOnly() {
      return current.wholeOnly === true;
    },
    distrust: async () => {
      if (left.length === 0) return false;
      await moveOn(new ReleaseError('bad-chunk', `${current.name} sends chunks that do not have their digest`));
      return true;
    },
    read: async (position, length) => {
      for (;;) {
        try {
          return await current.read(position, length);
        } catch (error) {
          await moveOn(error);
        }
      }
    },
    stream: async (position, length, take) => {
      let done = 0;
      for (;;) {
        let refused: { readonly error: unknown } | null = null;
        try {
          await current.stream(position + done, length - done, (piece) => {
            try {
              take(piece);
            } catch (error) {
              // The taker's word ends it: another source would not change its mind.
              refused = { error };
              throw error;
            }
            done += piece.length;
          });
          return;
        } catch (error) {
          if (refused !== null) throw error;
          await moveOn(error);
        }
      }
    },
    close: () => current.close(),
  };
}
