import { counterMax, counterStepMax, serverCounterStepMax, stepTowards } from '../../protocol/bounded-step.ts';
import { counterBlock } from '../../protocol/check-in.ts';
import type { Appliances, KeyRow } from '../store/appliances.ts';
import { type CounterMark, counterSpareMax } from './counter-mark.ts';

export type CounterResult = { readonly outcome: 'accepted' } | { readonly outcome: 'too-low'; readonly next: number };

export interface Counters {
  /** Has it not been taken yet? Nothing is taken. */
  isNew(key: KeyRow, seq: number): boolean;
  /** Takes a counter that is above the last one of its key. */
  take(key: KeyRow, seq: number): CounterResult;
  /** A person's way back: the next counter of this key is accepted, whatever it is. */
  reset(keyId: string): void;
  /** Writes the exact last counters, at a clean stop. */
  settle(): void;
}

export interface CounterParts {
  readonly appliances: Pick<
    Appliances,
    'writeCounterCeiling' | 'writeCounterCeilings' | 'writeCountersAhead' | 'raiseCounterCeilings'
  >;
  readonly mark: CounterMark;
  readonly isFullError: (error: unknown) => boolean;
  readonly onDamage: (key: KeyRow, ceiling: number) => void;
  /** Called when the first counter beyond the disk's ceiling is taken. */
  readonly onFull: () => void;
}

interface Last {
  seq: number;
  /** What is on the disk. */
  ceiling: number;
  /** Counters that were taken further ahead than one message may move it: none of them is taken twice. The newest last. */
  ahead: readonly number[];
}

/**
 * Of one key. One that is ahead for longer, because somebody who had the server's key sent its appliance far ahead, is
 * followed: what was taken before is behind it then.
 */
const aheadKept = 64;
/** What a key that begins anew, or whose counter a person reset, may begin with: half as far as one answer may send it. */
const firstMax = counterStepMax / 2;

/**
 * The last counter of each key: in memory, with a ceiling on disk that is raised a block ahead of use. After a crash
 * the counter continues at the ceiling, which the appliance learns from one 409. One message moves it by a bounded
 * step, so that a copied key cannot move it out of its appliance's reach.
 *
 * On a full disk a counter continues beyond its ceiling, in memory, by at most {@link counterSpareMax}, and a mark is
 * set before. After a crash all ceilings are raised by as much, so that nothing is accepted twice.
 */
export function countersOf({ appliances, mark, isFullError, onDamage, onFull }: CounterParts): Counters {
  if (mark.isBeyond()) appliances.raiseCounterCeilings(counterSpareMax, counterMax);
  mark.setInOrder();
  const last = new Map<string, Last>();
  const lastOf = (key: KeyRow): Last => {
    const known = last.get(key.key_id);
    if (known !== undefined && known.seq < counterMax) return known;
    const stored = known?.seq ?? key.counter_ceiling;
    const isDamaged = stored >= counterMax || stored < 0;
    if (isDamaged) onDamage(key, stored);
    const ahead = known?.ahead ?? storedAhead(key.counters_ahead);
    const begun = { seq: isDamaged ? 0 : stored, ceiling: isDamaged ? Number.NEGATIVE_INFINITY : stored, ahead };
    last.set(key.key_id, begun);
    return begun;
  };
  const raiseCeiling = (key: KeyRow, known: Last, seq: number): void => {
    const ceiling = seq + counterBlock;
    try {
      appliances.writeCounterCeiling(key.key_id, ceiling);
      known.ceiling = ceiling;
    } catch (error) {
      if (!isFullError(error) || seq > known.ceiling + counterSpareMax) throw error;
      if (!mark.isBeyond()) onFull();
      mark.setBeyond();
    }
  };
  const keepAhead = (key: KeyRow, known: Last, ahead: readonly number[]): void => {
    if (ahead.length === 0 && known.ahead.length === 0) return;
    known.ahead = ahead;
    try {
      appliances.writeCountersAhead(key.key_id, ahead.join(' '));
    } catch (error) {
      // On a full disk they are known until the server ends.
      if (!isFullError(error)) throw error;
    }
  };
  const isAbove = ({ seq: last, ahead }: Last, seq: number) => seq > last && !ahead.includes(seq);
  return {
    isNew: (key, seq) => isAbove(lastOf(key), seq),
    take: (key, seq) => {
      const known = lastOf(key);
      if (!isAbove(known, seq)) return { outcome: 'too-low', next: nextOf(known) };
      // Nothing of this key was taken before: what it has recorded of earlier days is behind it at once.
      const stepped = stepTowards(known.seq, seq, known.seq === 0 ? firstMax : serverCounterStepMax);
      const [oldest = 0] = known.ahead.length < aheadKept ? [] : known.ahead;
      const now = Math.max(stepped, Math.min(oldest, known.seq + counterStepMax));
      if (now > known.ceiling) raiseCeiling(key, known, now);
      keepAhead(key, known, [...known.ahead, seq].filter((one) => one > now).slice(-aheadKept));
      known.seq = now;
      return { outcome: 'accepted' };
    },
    reset: (keyId) => {
      last.delete(keyId);
      appliances.writeCounterCeiling(keyId, 0);
      appliances.writeCountersAhead(keyId, '');
    },
    settle: () => {
      appliances.writeCounterCeilings([...last].map(([keyId, { seq }]) => [keyId, seq]));
      mark.setInOrder();
    },
  };
}

/** The first counter that is taken next: one that was taken ahead is refused, too. */
function nextOf({ seq, ahead }: Last): number {
  let next = seq + 1;
  for (let i = 0; i < aheadKept && ahead.includes(next); i += 1) next += 1;
  return next;
}

/** Of a row that somebody damaged, what is a number counts. */
function storedAhead(words: string): number[] {
  return words
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
    .filter(Number.isSafeInteger)
    .slice(-aheadKept);
}
