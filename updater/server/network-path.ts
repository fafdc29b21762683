import { entryWords, inTurn, isSameEntry, type PathEntry } from '../../protocol/network-path.ts';
import { type EntryHttp, type Http, makeHttp } from '../effects/http.ts';
import { httpLimits, type RatedEntry } from '../effects/http-request.ts';
import { pathInUse, rateInUse, sourcesAnswered, verifiedPath } from '../trust/sources.ts';
import type { TrustPlace } from '../trust/trust-files.ts';

/**
 * HTTP over the network path of this appliance. Its entries are tried in order until one brings a verified answer: the
 * sources that were set last, then the path that was verified last, then the one of set-up. So no setting, signed or
 * not, and no retired proxy can cut an appliance off.
 */

/**
 * Unless it was verified last, an entry with others after it has this long to connect, and this long without a byte.
 * Each has half of an exchange's remaining time in all.
 */
const notLast = { connectMs: 5_000, stallMs: 8_000 } as const;
/** An entry that was verified in this run goes first for this long; then the original order is tried again. */
const firstForMs = 5 * 60_000;

type Limits = Partial<Record<keyof typeof httpLimits, number>>;

export interface KnownPath {
  readonly entries: readonly RatedEntry[];
  /** This entry led to the server before, so a slow proxy keeps its full time; null: none did. */
  readonly verified: PathEntry | null;
}

/** @param answered called with the entry over which the server's answer came */
export function pathHttp(path: () => KnownPath, limits: Limits, answered: (entry: PathEntry) => void): Http {
  let proven: { readonly entry: PathEntry; readonly untilMs: number } | null = null;
  const turn = (): readonly EntryHttp[] => {
    const first = proven !== null && performance.now() < proven.untilMs ? proven.entry : null;
    const { entries: known, verified } = path();
    const tried = inTurn(known, first);
    return tried.map((entry, index) => {
      const rateBytesPerS = known[0]?.rateBytesPerS ?? null;
      const isPatient = index === tried.length - 1 || (verified !== null && isSameEntry(entry, verified));
      return {
        ...makeHttp(isPatient ? limits : shorter(limits), { ...entry, rateBytesPerS }),
        words: entryWords(entry),
        proven: (by) => {
          const isFirst = known[0] !== undefined && isSameEntry(known[0], entry);
          // Content may come from a copy: it says nothing against an entry that led to the server itself.
          if (isFirst && by === 'answer') proven = null;
          if (!isFirst) proven = { entry, untilMs: performance.now() + firstForMs };
          if (by === 'answer') answered(entry);
        },
      };
    });
  };
  const now = (): EntryHttp => {
    const [first] = turn();
    if (first === undefined) throw new RangeError('a network path has an entry');
    return first;
  };
  return {
    fetch: (request, bytesMax) => now().fetch(request, bytesMax),
    stream: (request, consume) => now().stream(request, consume),
    entries: turn,
  };
}

function shorter(limits: Limits): Limits {
  const connectMs = Math.min(limits.connectMs ?? httpLimits.connectMs, notLast.connectMs);
  return { ...limits, connectMs, stallMs: Math.min(limits.stallMs ?? httpLimits.stallMs, notLast.stallMs) };
}

/**
 * Over the path that the sources of this appliance name; the entry that answered is stored.
 * @param answered called whenever the server's answer was verified
 */
export function networkPath(place: TrustPlace, limits: Limits, answered: () => void = () => undefined): Http {
  const path = (): KnownPath => {
    const rateBytesPerS = rateInUse(place);
    const entries = pathInUse(place).map((entry) => ({ ...entry, rateBytesPerS }));
    return { entries, verified: verifiedPath(place) };
  };
  return pathHttp(path, limits, (entry) => {
    sourcesAnswered(place, entry);
    answered();
  });
}
