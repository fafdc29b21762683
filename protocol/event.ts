import { z } from 'zod';
import { componentShape } from './component.ts';
import { digestShape } from './digest.ts';
import { evidenceShape } from './evidence.ts';
import { exitShape } from './exit.ts';
import { bootIdShape, uuidShape } from './ids.ts';
import { wireEnum, wordOf } from './wire-enum.ts';

/** Events in one check-in, and the bytes of one text, so that a check-in stays within 16 KiB. */
export const eventsPerCheckInMax = 24;
export const eventTextMax = 2_000;

const eventKinds = [
  'record', // something that the agent's duties made and the server must have
  'order', // an order changed its state
  'agent-crashed',
  'agent-recovered',
  'release-refused',
  'release-installing',
  'release-committed',
  'release-rolled-back',
  'safe-mode',
  'note',
] as const;

/** The two programs of an appliance that send events, each with its own key. */
export type SenderRole = 'agent' | 'updater';
type EventKind = (typeof eventKinds)[number];

/**
 * Which sender each kind belongs to. From the other sender it does not count: a stolen agent's key must not be able to
 * say how an update ended.
 */
const kindOwners: Readonly<Record<EventKind, SenderRole | 'both'>> = {
  record: 'agent',
  order: 'agent',
  'agent-crashed': 'updater',
  'agent-recovered': 'updater',
  'release-refused': 'updater',
  'release-installing': 'updater',
  'release-committed': 'updater',
  'release-rolled-back': 'updater',
  'safe-mode': 'updater',
  note: 'both',
};
function isFactOf(role: SenderRole, kind: EventKind): boolean {
  return kindOwners[kind] === role || kindOwners[kind] === 'both';
}

/** The states of an order that an appliance may report; the server accepts no others (S4). */
export const reportedOrderStates = [
  'acknowledged',
  'running',
  'succeeded',
  'failed',
  'refused',
  'unsupported',
] as const;
export const terminalOrderStates = ['succeeded', 'failed', 'refused', 'unsupported', 'expired', 'cancelled'] as const;

const crashShape = z.object({
  /** Crashes that were not reported before this event. */
  count: z.int().min(1),
  exit: exitShape,
  version: z.string().max(64),
  /** Head and tail of the last output (S32). */
  output: z.string().max(4_000),
});

const releaseShape = z.object({
  tx: z.int().min(1),
  component: componentShape,
  manifest: digestShape,
  version: z.string().max(64),
  from: z.string().max(64),
  /** Named reason of a rollback or refusal, e.g. `stalled`, `crash-loop`, `bad-chunk`. */
  reason: z.string().max(64).optional(),
  fetchedMs: z.int().min(0).optional(),
  downMs: z.int().min(0).optional(),
  revertedMs: z.int().min(0).optional(),
  /** In a rollback: what was seen of the version that failed. */
  evidence: evidenceShape.optional(),
});

/** One event. Sent until acknowledged; `n` rises without gaps for each sender, `id` makes a repetition harmless. */
export const eventShape = z.object({
  id: uuidShape,
  n: z.int().min(1),
  kind: wireEnum(eventKinds),
  at: z.object({ boot: bootIdShape, monoMs: z.number().min(0) }),
  text: z.string().max(eventTextMax).default(''),
  order: z
    .object({
      id: uuidShape,
      state: wireEnum(reportedOrderStates),
      error: z.string().max(eventTextMax).optional(),
      /** What the order was to find out, as the handler wrote it (JSON for most kinds). */
      result: z.string().max(4_000).optional(),
    })
    .optional(),
  crash: crashShape.optional(),
  release: releaseShape.optional(),
  /** What the agent acknowledged: a name and the digest of a row, to prove that none was lost. */
  record: z.object({ name: z.string().max(200), sha256: digestShape }).optional(),
});
export type Event = z.infer<typeof eventShape>;
/** An event as its sender writes it, before parsing. */
export type EventInput = z.input<typeof eventShape>;

/** The parsed value, as it travelled. */
export function eventAsTravelled(event: Event): EventInput {
  const { order, kind, ...rest } = event;
  const words = order === undefined ? {} : { order: { ...order, state: wordOf(order.state) } };
  return { ...rest, kind: wordOf(kind), ...words };
}

/**
 * The part of an event that counts from its sender: agents report orders and records, updaters crashes and releases.
 */
export interface Fact extends Omit<Event, 'kind'> {
  readonly kind: EventKind;
  /** An unknown kind, or parts that this sender may not report; null: everything counts. */
  readonly notCounted: { readonly why: 'unknown' | 'not-its-own'; readonly words: readonly string[] } | null;
}

/** The event as far as it is a fact of its sender; anything else is that sender's note. */
export function factOf(role: SenderRole, event: Event): Fact {
  const { order, crash, release, record, ...said } = event;
  const [own, foreign] =
    role === 'agent'
      ? ([
          { order, record },
          { crash, release },
        ] as const)
      : ([
          { crash, release },
          { order, record },
        ] as const);
  if (typeof said.kind !== 'string') {
    return { ...said, kind: 'note', notCounted: { why: 'unknown', words: [said.kind.raw] } };
  }
  const { kind } = said;
  if (!isFactOf(role, kind)) return { ...said, kind: 'note', notCounted: { why: 'not-its-own', words: [kind] } };
  const words = Object.entries(foreign).flatMap(([name, part]) => (part === undefined ? [] : [name]));
  return { ...said, kind, ...own, notCounted: words.length === 0 ? null : { why: 'not-its-own', words } };
}
