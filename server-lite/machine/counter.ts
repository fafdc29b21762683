import { counterBlock } from '../../protocol/check-in.ts';
import type { Core } from '../core.ts';
import type { KeyRow } from '../store/appliances.ts';

export type CounterResult = { readonly outcome: 'accepted' } | { readonly outcome: 'too-low'; readonly next: number };

export interface Counters {
  /** Takes a counter that is above the last one of its key. */
  take(key: KeyRow, seq: number): CounterResult;
  /** Writes the exact last counters, at a clean stop. */
  settle(): void;
}

/**
 * The last counter of each key: in memory, with a ceiling on disk that is raised a block ahead of use. After a crash
 * the counter goes on from the ceiling, and the appliance learns it from one 409.
 */
export function countersOf(core: Core): Counters {
  const last = new Map<string, { seq: number; ceiling: number }>();
  return {
    take: (key, seq) => {
      const known = last.get(key.key_id) ?? { seq: key.counter_ceiling, ceiling: key.counter_ceiling };
      last.set(key.key_id, known);
      if (seq <= known.seq) return { outcome: 'too-low', next: known.seq + 1 };
      if (seq > known.ceiling) {
        known.ceiling = seq + counterBlock;
        core.appliances.writeCounterCeiling(key.key_id, known.ceiling);
      }
      known.seq = seq;
      return { outcome: 'accepted' };
    },
    settle: () => {
      for (const [keyId, { seq }] of last) core.appliances.writeCounterCeiling(keyId, seq);
    },
  };
}
