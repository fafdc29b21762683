import { z } from 'zod';
import {
  beyondText,
  offeredAgainText,
  offeredFrom,
  type ServerMemory,
  storedOf,
} from '../../protocol/acknowledgement.ts';
import { counterMax } from '../../protocol/bounded-step.ts';
import { type Event, type EventInput, eventShape } from '../../protocol/event.ts';

/** The updater's events as a value: adding, forgetting and offering again. All of it is pure. */

/** The most events that wait for the server, so that weeks offline cannot fill the disk. */
const waitingMax = 200;
/** Names of acknowledged events that are kept: a step repeated after a crash repeats only the newest ones. */
const acknowledgedMax = 32;
/**
 * Acknowledged events that are kept whole, for a server that was restored; limited so that the file, with the waiting
 * events, stays within its limit.
 */
const keptMax = 64;
const keptBytesMax = 128 * 1024;

/** An event as it was sent; parsed again only when the server asks for it. */
export const keptShape = z.looseObject({ id: z.string(), n: z.int().min(1) });
type Kept = z.infer<typeof keptShape>;

export interface Queue {
  readonly nextN: number;
  readonly waiting: readonly Event[];
  readonly acknowledged: readonly string[];
  readonly kept: readonly Kept[];
  /** The server's memory: it changes when the server is restored or set up anew. null: no answer has named it yet. */
  readonly epoch: string | null;
  /** The epoch in which the server claimed events that were never here, once this was reported. */
  readonly beyond: string | null;
}

/** The number after the last plausible one. */
export function nextAfter(events: readonly { readonly n: number }[]): number {
  return 1 + Math.max(0, ...events.map(({ n }) => n).filter((n) => n < counterMax));
}

/** The same queue if the event is already known, or if there is no room for it. */
export function added(queue: Queue, event: Event): Queue {
  const { waiting, acknowledged, kept, nextN } = queue;
  // The server knows it by its id: a second event with its own number would leave a gap that never closes.
  if (acknowledged.includes(event.id) || [...waiting, ...kept].some(({ id }) => id === event.id)) return queue;
  if (waiting.length < waitingMax) return { ...queue, waiting: [...waiting, { ...event, n: nextN }], nextN: nextN + 1 };
  // Numbers rise without gaps, so none may be dropped: the oldest event of a minor kind gives up its place.
  const place = waiting.findIndex(({ kind }) => kind === 'note' || kind === 'agent-crashed');
  const replaced = waiting[place];
  return replaced === undefined ? queue : { ...queue, waiting: waiting.with(place, { ...event, n: replaced.n }) };
}

/** @returns also what a person should read about it */
export function settled(
  queue: Queue,
  sent: readonly EventInput[],
  memory: ServerMemory,
): { readonly after: Queue; readonly told: readonly string[] } {
  const { epoch } = memory;
  const isBeyond = memory.ackUpto >= queue.nextN && queue.beyond !== epoch;
  const again = offered(queue, offeredFrom(memory, queue.epoch));
  const ids = new Set(storedOf(sent, memory));
  const done = queue.waiting.filter(({ id }) => ids.has(id));
  const told = [
    ...(isBeyond ? [beyondText(memory.ackUpto)] : []),
    ...(again.length > 0 ? [offeredAgainText(again.length)] : []),
  ];
  if (told.length === 0 && done.length === 0 && queue.epoch === epoch) return { after: queue, told };
  const back = new Set(again.map(({ id }) => id));
  const after: Queue = {
    ...queue,
    epoch,
    beyond: isBeyond ? epoch : queue.beyond,
    waiting: [...queue.waiting.filter(({ id }) => !ids.has(id)), ...again].toSorted((a, b) => a.n - b.n),
    kept: bounded([...queue.kept.filter(({ id }) => !back.has(id)), ...done.map(asWritten)]),
    acknowledged: [...queue.acknowledged, ...done.map(({ id }) => id)].slice(-acknowledgedMax),
  };
  return { after, told };
}

/** Kept events wait again, as far as there is room. */
export function withAllOffered(queue: Queue): Queue {
  const again = offered(queue, 1);
  if (again.length === 0) return queue;
  const back = new Set(again.map(({ id }) => id));
  return {
    ...queue,
    waiting: [...queue.waiting, ...again].toSorted((a, b) => a.n - b.n),
    kept: queue.kept.filter(({ id }) => !back.has(id)),
  };
}

/** Kept events that the server misses, as far as there is room; the newest take precedence. */
function offered({ kept, waiting }: Queue, from: number | null): Event[] {
  const room = waitingMax - waiting.length;
  if (from === null || room <= 0) return [];
  return kept
    .filter(({ n }) => n >= from)
    .flatMap((event) => {
      const parsed = eventShape.safeParse(event);
      return parsed.success ? [parsed.data] : [];
    })
    .slice(-room);
}

/** The newest that fit. */
function bounded(kept: readonly Kept[]): Kept[] {
  const newest = kept.toSorted((a, b) => a.n - b.n).slice(-keptMax);
  let bytes = 0;
  const last = newest.findLastIndex((event) => {
    bytes += Buffer.byteLength(JSON.stringify(event));
    return bytes > keptBytesMax;
  });
  return newest.slice(last + 1);
}

/** Converts back to the form that travels: an unknown word stays as it came. */
export function asWritten(event: Event): EventInput {
  const { order: _never, ...rest } = event;
  return { ...rest, kind: typeof event.kind === 'string' ? event.kind : event.kind.raw };
}
