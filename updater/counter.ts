import { z } from 'zod';
import { counterBlock } from '../protocol/check-in.ts';
import type { Layout } from '../protocol/layout.ts';
import { readJson, replaceJson, whereThereIsRoom } from './effects/durable.ts';
import type { Files } from './effects/files.ts';

const shape = z.object({ reserved: z.int().min(0) });

/** The rising number of this key's requests. Numbers are reserved in blocks, durably, before one of them is used. */
export interface Counter {
  next(): number;
  /** The server knows a higher one: go on from there. */
  adopt(next: number): void;
}

export function openCounter(files: Files, layout: Layout): Counter {
  const stored = shape.parse(readJson(files, layout.counter, 1_000) ?? { reserved: 0 });
  let reserved = stored.reserved;
  // A process that ended may have used any number of its block: go on above it.
  let current = reserved;
  const reserveFrom = (from: number) => {
    reserved = from + counterBlock;
    // On a full disk a later process may repeat a number: the server then answers which one is next.
    whereThereIsRoom(() => replaceJson(files, layout.counter, { reserved }, 0o600));
  };
  return {
    next() {
      if (current + 1 > reserved) reserveFrom(current);
      current += 1;
      return current;
    },
    adopt(next) {
      if (next <= current) return;
      current = next - 1;
      reserveFrom(current);
    },
  };
}
