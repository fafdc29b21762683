import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Event, type EventInput, eventShape, eventsPerCheckInMax, eventTextMax } from '../protocol/event.ts';
import type { Layout } from '../protocol/layout.ts';
import type { Clock } from './effects/clock.ts';
import { readJson, replaceJson, whereThereIsRoom } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import { headAndTail } from './text.ts';

/** What waits for the server at the most, so that weeks offline can not fill the disk. */
const waitingMax = 200;
const fileBytesMax = 2 * 1024 * 1024;
/** A check-in has 16 KiB for everything; events may take this much. */
const sentBytesMax = 11 * 1024;

/** One event must fit into a check-in beside the lifeline, whatever an agent printed: JSON makes six bytes of one. */
const eventBytesMax = 9 * 1024;
const charactersLeast = 100;

/** Names of acknowledged events that are kept: a step that is repeated after a crash repeats only the newest ones. */
const acknowledgedMax = 32;

const shape = z.object({
  nextN: z.int().min(1),
  waiting: z.array(z.unknown()),
  acknowledged: z.array(z.string()).default([]),
});

export type NewEvent = Omit<EventInput, 'id' | 'n' | 'at'>;

/** The updater's events, durable until the server acknowledged them. */
export interface EventQueue {
  /** Durable when it returns, or, on a full disk, kept until this process ends. The same `name` twice is one event, so that a repeated step reports once. */
  add(name: string, event: NewEvent): void;
  /** The oldest that fit into one check-in. */
  next(): EventInput[];
  acknowledge(upto: number): void;
  readonly waiting: number;
}

/** A UUID (RFC 9562, version 8) from a name: the same transaction's event has the same id for ever. */
export function eventIdOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16).padStart(2, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

/** Head and tail of its texts, as long as they can be. */
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
              evidence: { ...evidence, output: headAndTail(evidence.output ?? '', charactersMax) },
            },
          }),
    };
  }
  return short;
}

export function openEvents(files: Files, layout: Layout, clock: Clock, appliance: string): EventQueue {
  const stored = shape.parse(readJson(files, layout.events, fileBytesMax) ?? { nextN: 1, waiting: [] });
  let { nextN, acknowledged } = stored;
  let waiting: Event[] = stored.waiting.map((event) => eventShape.parse(event));
  const save = () => {
    const queue = { nextN, waiting: waiting.map(asWritten), acknowledged };
    whereThereIsRoom(() => replaceJson(files, layout.events, queue, 0o600));
  };
  return {
    add(name, whole) {
      const event = shortened(whole);
      const id = eventIdOf(`${appliance} ${name}`);
      // The server knows it by its id: a second one with a number of its own would leave a gap that never closes.
      if (acknowledged.includes(id) || waiting.some((other) => other.id === id)) return;
      const at = { boot: clock.bootId(), monoMs: clock.monoMs() };
      if (waiting.length >= waitingMax) {
        // The server acknowledges without gaps, so a number is never given up: the oldest that tells least gives its place.
        const place = waiting.findIndex(({ kind }) => kind === 'note' || kind === 'agent-crashed');
        const replaced = waiting[place];
        if (replaced === undefined) return;
        waiting = waiting.with(place, eventShape.parse({ ...event, id, n: replaced.n, at }));
      } else {
        waiting = [...waiting, eventShape.parse({ ...event, id, n: nextN, at })];
        nextN += 1;
      }
      save();
    },
    next() {
      const fitting: EventInput[] = [];
      let bytes = 0;
      for (const event of waiting.slice(0, eventsPerCheckInMax)) {
        bytes += Buffer.byteLength(JSON.stringify(asWritten(event)));
        if (bytes > sentBytesMax && fitting.length > 0) break;
        fitting.push(asWritten(event));
      }
      return fitting;
    },
    acknowledge(upto) {
      if (!waiting.some((event) => event.n <= upto)) return;
      const done = waiting.filter((event) => event.n <= upto).map((event) => event.id);
      acknowledged = [...acknowledged, ...done].slice(-acknowledgedMax);
      waiting = waiting.filter((event) => event.n > upto);
      save();
    },
    get waiting() {
      return waiting.length;
    },
  };
}

/** Back to what travels: a word that this version does not know was kept as it came. */
function asWritten(event: Event): EventInput {
  const { order: _never, ...rest } = event;
  return { ...rest, kind: typeof event.kind === 'string' ? event.kind : event.kind.raw };
}
