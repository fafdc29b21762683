import type { Status } from '../../protocol/status.ts';
import { wordTexts } from './texts.ts';

/** How old a status is, and whether it still says how the appliance is: the same for field page and command line. */

/** A status is old after three missed looks at the server, but never earlier than this. */
const oldAfterMs = 5 * 60_000;
/** On a disk without room nothing newer can be written: then it is old after this. */
const oldOnFullDiskMs = 30_000;
/** Less than a status needs. */
const roomLeast = 64 * 1024;
const missedLooks = 3;

/** The reader's clock, of this boot. The wall clock is used only for a status without a time of its own. */
export interface ReadingClock {
  monoMs(): number;
  bootId(): string;
  wallS(): number;
}

/** How far a status can be relied on. Only `known` may be shown as it is; unknown is never ok. */
export type StatusAge =
  | { readonly kind: 'known'; readonly ageMs: number }
  | { readonly kind: 'old'; readonly why: string };

/** null: it was written before the machine started. */
function ageOf({ at }: Status, mtimeMs: number, clock: ReadingClock): number | null {
  if (at === undefined) return Math.max(0, clock.wallS() * 1000 - mtimeMs);
  return at.boot === clock.bootId() ? Math.max(0, clock.monoMs() - at.monoMs) : null;
}

/**
 * @param mtimeMs when its file was written
 * @param freeBytes of the disk that it is on
 */
export function statusAge(status: Status, mtimeMs: number, clock: ReadingClock, freeBytes: () => number): StatusAge {
  const ageMs = ageOf(status, mtimeMs, clock);
  if (ageMs === null) return { kind: 'old', why: wordTexts.notLooked };
  const limitMs = Math.max(oldAfterMs, missedLooks * (status.checkIn.nextInS ?? 0) * 1000);
  if (ageMs > oldOnFullDiskMs && freeBytes() < roomLeast) return { kind: 'old', why: wordTexts.noRoomForStatus };
  if (ageMs <= limitMs) return { kind: 'known', ageMs };
  const minutes = Math.round(ageMs / 60_000);
  return { kind: 'old', why: wordTexts.notLookedFor(minutes) };
}
