import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ServerMemory } from '../../protocol/acknowledgement.ts';
import { counterMax } from '../../protocol/bounded-step.ts';
import { type Event, type EventInput, eventShape, eventsPerCheckInMax, eventTextMax } from '../../protocol/event.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Transaction } from '../../protocol/state-record.ts';
import type { Clock } from '../effects/clock.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';
import { headAndTail } from '../words/text.ts';
import { added, asWritten, keptShape, nextAfter, type Queue, settled, withAllOffered } from './event-queue.ts';

const fileBytesMax = 2 * 1024 * 1024;
/** A check-in has 16 KiB for everything; events may take this much. */
const sentBytesMax = 11 * 1024;

/**
 * One event must fit into a check-in beside the lifeline, whatever an agent printed: JSON may need six bytes for one.
 */
const eventBytesMax = 9 * 1024;
const charactersLeast = 100;

const shape = z.object({
  /** An implausible number is damage: the events that are here show the next one. */
  nextN: z.int().min(1).max(counterMax).catch(1),
  waiting: z.array(z.unknown()),
  /** Ids. */
  acknowledged: z.array(z.string()).default([]),
  kept: z.array(keptShape).catch([]),
  /** The server's memory: it changes when the server is restored or set up anew. null: no answer has named it yet. */
  epoch: z.string().nullable().catch(null),
  /** The epoch in which the server claimed events that were never here, once this was reported. */
  beyond: z.string().nullable().catch(null),
});
export type NewEvent = Omit<EventInput, 'id' | 'n' | 'at'>;

/** The updater's events, durable until the server acknowledges them. */
export interface EventQueue {
  /**
   * Durable when it returns or, on a full disk, kept until this process ends. The same `name` twice is one event, so
   * that a repeated step reports once.
   */
  add(name: string, event: NewEvent): void;
  /** The oldest events that fit into one check-in. */
  next(): EventInput[];
  /**
   * Applies what a verified answer to a request with `sent` says about the server's memory. Only events in `sent` are
   * ever forgotten, and events that the server misses wait again.
   * @returns what a person should read about it; the server reads it too
   */
  settle(sent: readonly EventInput[], memory: ServerMemory): readonly string[];
  /** A person wants the server to have everything that is kept. @returns how many events wait again */
  offerAgain(): number;
  readonly waiting: number;
}

/** The name of an event that is reported once per transaction, however often its step is repeated. */
export function transactionEvent(
  word: string,
  { tx, id, manifest }: Pick<Transaction, 'tx' | 'id' | 'manifest'>,
): string {
  return `${word} ${tx} ${id ?? ''} ${manifest}`;
}

/** A UUID (RFC 9562, version 8) from a name: the same transaction's event always has the same id. */
export function eventIdOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16).padStart(2, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

/** Shortens the texts of an event to head and tail, as little as needed. */
function shortened(event: NewEvent): NewEvent {
  let short = event;
  for (let charactersMax = eventTextMax; charactersMax >= charactersLeast; charactersMax /= 2) {
    if (Buffer.byteLength(JSON.stringify(short)) <= eventBytesMax) return short;
    const { text, crash, release } = event;
    const { evidence } = release ?? {};
    short = {
      ...event,
      text: headAndTail(text ?? '', charactersMax),
      ...(crash === undefined ? {} : { crash: { ...crash, output: headAndTail(crash.output, charactersMax) } }),
      ...(release === undefined || evidence === undefined
        ? {}
        : {
            release: {
              ...release,
              evidence: { ...evidence, output: headAndTail(evidence.output ?? '', charactersMax, evidence.whole) },
            },
          }),
    };
  }
  return short;
}

function readQueue(files: Files, layout: Layout): Queue {
  const stored = readKept(files, layout.events, fileBytesMax, shape) ?? shape.parse({ waiting: [] });
  // An unreadable event is lost, and no other with it.
  const waiting: Event[] = stored.waiting.flatMap((event) => eventShape.safeParse(event).data ?? []);
  return { ...stored, waiting, nextN: Math.max(stored.nextN, nextAfter([...waiting, ...stored.kept])) };
}

export function openEvents(files: Files, layout: Layout, clock: Clock, appliance: string): EventQueue {
  let queue = readQueue(files, layout);
  const change = (after: Queue) => {
    if (after === queue) return;
    queue = after;
    const stored = { ...queue, waiting: queue.waiting.map(asWritten) };
    whereThereIsRoom(() => replaceJson(files, layout.events, stored, 0o600));
  };
  const withNew = (before: Queue, name: string, whole: NewEvent): Queue => {
    const at = { boot: clock.bootId(), monoMs: clock.monoMs() };
    const id = eventIdOf(`${appliance} ${name}`);
    return added(before, eventShape.parse({ ...shortened(whole), id, n: before.nextN, at }));
  };
  return {
    add(name, event) {
      change(withNew(queue, name, event));
    },
    next() {
      const fitting: EventInput[] = [];
      let bytes = 0;
      for (const event of queue.waiting.slice(0, eventsPerCheckInMax)) {
        bytes += Buffer.byteLength(JSON.stringify(asWritten(event)));
        if (bytes > sentBytesMax && fitting.length > 0) break;
        fitting.push(asWritten(event));
      }
      return fitting;
    },
    settle(sent, memory) {
      const { after, told } = settled(queue, sent, memory);
      const name = `memory ${memory.epoch} ${clock.bootId()} ${clock.monoMs()}`;
      change(told.reduce((before, text) => withNew(before, `${name} ${text}`, { kind: 'note', text }), after));
      return told;
    },
    offerAgain() {
      const before = queue.waiting.length;
      change(withAllOffered(queue));
      return queue.waiting.length - before;
    },
    get waiting() {
      return queue.waiting.length;
    },
  };
}
