import { z } from 'zod';
import { decodeRecord } from '../../protocol/record.ts';
import type { View } from './tree-digest.ts';

const eventsShape = z.object({
  nextN: z.int(),
  waiting: z.array(z.object({ id: z.string() })),
  acknowledged: z.array(z.string()),
});

/**
 * What a record says, and which of two says it later: they differ by one, and so in the rest of a division by three. The
 * number itself only rises. One that is not whole is as if it was never written.
 */
function recordOf(bytes: Buffer): string {
  const record = decodeRecord(bytes);
  return record === null ? `none ${bytes.length}` : JSON.stringify([record.seq % 3, record.schema, record.body]);
}

/** Which events there are; not what they say. */
function eventsOf(bytes: Buffer): string {
  try {
    const { nextN, waiting, acknowledged } = eventsShape.parse(JSON.parse(bytes.toString('utf8')));
    return JSON.stringify([nextN, waiting.map(({ id }) => id), acknowledged]);
  } catch (error) {
    if (error instanceof SyntaxError) return `torn ${bytes.length}`;
    throw error;
  }
}

/** What people are told: that there is a file counts. */
const told: View = { tells: () => 'told' };
const record: View = { tells: recordOf };
const events: View = { tells: eventsOf };

/** Of `updater/`. No decision reads what is told: docs/power-cuts.md says so of each, and so does its source. */
const updater: View = {
  names: {
    'timeline.jsonl': told,
    'timeline.jsonl.tmp': told,
    'history.jsonl': told,
    'history.jsonl.tmp': told,
    'events.json': events,
    'events.json.tmp': events,
    'state.0': record,
    'state.1': record,
    'launch.0': record,
    'launch.1': record,
    evidence: { others: { ...told, others: told } },
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
