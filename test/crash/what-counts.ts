import { z } from 'zod';
import type { View } from './tree-digest.ts';

const eventsShape = z.object({
  nextN: z.int(),
  waiting: z.array(z.object({ id: z.string() })),
  acknowledged: z.array(z.string()),
});

/** Torn, or whole: lines of JSON, or one. */
function wholeness(bytes: Buffer): string {
  const last = bytes.at(-1);
  const ends = last === undefined || last === 0x0a || last === 0x7d;
  return ends && !bytes.includes(0) ? 'whole' : 'torn';
}

/** Which events there are; not what they say. */
function eventsOf(bytes: Buffer): string {
  if (wholeness(bytes) === 'torn' || bytes.length === 0) return `torn ${bytes.length}`;
  const { nextN, waiting, acknowledged } = eventsShape.parse(JSON.parse(bytes.toString('utf8')));
  return JSON.stringify([nextN, waiting.map(({ id }) => id), acknowledged]);
}

/** What people are told of it: that it is there counts, and whether it is whole. */
const told: View = { tells: wholeness };
const reports: View = { others: { others: told, tells: wholeness } };

/** Of `updater/`. No decision reads any of it: ARCHITECTURE.md says so of each, and so does its source. */
const updater: View = {
  names: {
    'timeline.jsonl': told,
    'timeline.jsonl.tmp': told,
    'history.jsonl': told,
    'history.jsonl.tmp': told,
    'events.json': { tells: eventsOf },
    'events.json.tmp': { tells: eventsOf },
    evidence: reports,
  },
};

/** Names and nonces of starts are random. */
const launched: View = { isNothing: true };

/** By what the disks that a kill or a power cut leaves are told from each other. */
export const whatCounts: Readonly<
  Record<'everything' | 'decisive', { readonly killed: View; readonly afterBoot: View }>
> = {
  everything: { afterBoot: {}, killed: { names: { hf: { names: { run: { names: { launched } } } } } } },
  decisive: {
    afterBoot: { names: { hf: { names: { updater } } } },
    killed: {
      names: { hf: { names: { updater, run: { names: { launched, 'status.json': told, 'status.json.tmp': told } } } } },
    },
  },
};
