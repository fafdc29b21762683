import { z } from 'zod';
import type { MadeKind } from './made.ts';

/** What a thread with a maker's work and the agent say to each other. Texts are JSON or words, so that a thread hands over no objects. */

/** To the thread. */
export type ToThread =
  | { readonly type: 'run' }
  | { readonly type: 'abort' }
  | { readonly type: 'answer'; readonly call: number; readonly json: string }
  | { readonly type: 'refusal'; readonly call: number; readonly error: string };

/** From the thread. A library in it may send messages of its own, which are none of these. */
export const fromThreadShape = z.discriminatedUnion('type', [
  z.object({ type: z.literal('done'), json: z.string() }),
  z.object({ type: z.literal('failed'), code: z.enum(['threw', 'not-loaded']), error: z.string() }),
  z.object({ type: z.literal('call'), call: z.number(), method: z.string(), json: z.string() }),
  z.object({ type: z.literal('log'), level: z.enum(['info', 'warn', 'error']), text: z.string() }),
]);
export type FromThread = z.infer<typeof fromThreadShape>;

/** What the thread is told at its begin. */
export interface ThreadStart {
  /** A file URL: the maker's module. */
  readonly module: string;
  readonly kind: MadeKind;
  readonly name: string;
  /** Of the site, by name. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The directory of the module's assets; null: it has none. */
  readonly assets: string | null;
  /** Of an order. */
  readonly args?: Readonly<Record<string, string>>;
}

/** Characters of JSON of a result, and of what one call carries. */
export const threadJsonCharsMax = 16 * 1024;
/** Calls of one thread that may wait for their answers. */
export const threadCallsMax = 32;
/** Lines of one run, and characters of one line. */
export const threadLinesMax = 100;
export const threadLineCharsMax = 2_000;
