import { noSources, type Sources } from '../../protocol/sources.ts';
import { type Http, type httpLimits, makeHttp } from '../effects/http.ts';
import { HttpError } from '../effects/http-error.ts';
import { sourcesAnswered, sourcesInUse } from './sources.ts';
import type { TrustPlace } from './trust-files.ts';

/**
 * HTTP over the way out that is set. A new one is tried first; as long as it has not brought a verified answer, the one
 * before is tried after it, so that a wrong setting cuts nobody off.
 */
export function wayOut(place: TrustPlace, limits: Partial<Record<keyof typeof httpLimits, number>>): Http {
  let used: Sources = noSources;
  const overEach = async <T>(exchange: (http: Http) => Promise<T>, hasBegun: () => boolean): Promise<T> => {
    const ways = sourcesInUse(place);
    for (const [index, way] of ways.entries()) {
      used = way;
      try {
        return await exchange(makeHttp(limits, () => way));
      } catch (error) {
        if (!(error instanceof HttpError) || hasBegun() || index === ways.length - 1) throw error;
      }
    }
    throw new RangeError('there is always a way to try');
  };
  return {
    fetch: (request, bytesMax) =>
      overEach(
        (http) => http.fetch(request, bytesMax),
        () => false,
      ),
    stream: (request, consume) => {
      let hasBegun = false;
      const begin: typeof consume = (answer) => {
        hasBegun = true;
        return consume(answer);
      };
      return overEach(
        (http) => http.stream(request, begin),
        () => hasBegun,
      );
    },
    verified: () => sourcesAnswered(place, used),
  };
}
