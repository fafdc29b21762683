import { z } from 'zod';
import { counterMax, counterStepMax, stepTowards } from '../../protocol/bounded-step.ts';
import { counterBlock } from '../../protocol/check-in.ts';
import type { Layout } from '../../protocol/layout.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';

const shape = z.object({
  reserved: z
    .int()
    .min(0)
    .max(counterMax - 1),
});

/** The rising number of this key's requests. Numbers are reserved in blocks, durably, before any of them is used. */
export interface Counter {
  next(): number;
  /**
   * The server knows a higher number: continue from there, by a bounded step. A server whose count is lower accepts a
   * number far above its own.
   */
  adopt(next: number): void;
  /**
   * At the end of a run: what it reserved and did not use. If each run used up a block, an appliance would, after a
   * thousand runs without a server, be ahead by more than one check-in moves the server (`serverCounterStepMax`), and what
   * somebody recorded of it could be sent again.
   */
  giveBack(): void;
}

export function openCounter(files: Files, layout: Layout): Counter {
  const stored = readKept(files, layout.counter, 1_000, shape) ?? { reserved: 0 };
  let reserved = stored.reserved;
  // An ended process may have used any number of its block: continue above the block.
  let current = reserved;
  const reserve = () => {
    // A stored number must be readable: at the upper end, numbers start again.
    if (current + counterBlock >= counterMax) current = 0;
    reserved = current + counterBlock;
    // On a full disk, a later process may repeat a number: the server then answers with the next one.
    whereThereIsRoom(() => replaceJson(files, layout.counter, { reserved }, 0o600));
  };
  const giveBackDurably = () => {
    // Where another process reserved meanwhile, as an updater that is probed does, nothing of it is given back.
    if (readKept(files, layout.counter, 1_000, shape)?.reserved !== reserved) return;
    reserved = current;
    replaceJson(files, layout.counter, { reserved }, 0o600);
  };
  return {
    next() {
      if (current + 1 > reserved) reserve();
      current += 1;
      return current;
    },
    adopt(next) {
      if (next <= current) return;
      current = stepTowards(current, next - 1, counterStepMax);
      reserve();
    },
    giveBack() {
      if (current === reserved) return;
      try {
        giveBackDurably();
      } catch (error) {
        // A disk that refuses: the next run begins above what was reserved, as after any end without a word.
        if (!(error instanceof Error && 'code' in error)) throw error;
      }
    },
  };
}
