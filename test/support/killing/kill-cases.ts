import type { Row } from '../../../protocol/state-record.ts';
import type { Moment, Plan } from './killing-files.ts';

/** What the appliance was doing: a release that is good, going back by hand, a release that fails its trial. */
export type Flow = 'update' | 'return' | 'failing';

export interface KillCase extends Plan {
  readonly flow: Flow;
  readonly name: string;
}

const words: Readonly<Record<Flow, string>> = {
  update: 'a good update',
  return: 'a rollback by hand',
  failing: 'an update that fails',
};

function momentWords({ row, moment, operation }: Plan): string {
  if (moment === 'persisted') return `when ${row} is on disk`;
  if (moment === 'done') return `when ${row} is done and the next row is not on disk`;
  if (moment === 'torn') return `half way through the record that follows ${row}`;
  return `before change ${operation} that ${row} makes to the disk`;
}

function killCase(flow: Flow, row: Row, moment: Moment, operation = 1): KillCase {
  return { flow, row, moment, operation, name: `${words[flow]}, ${momentWords({ row, moment, operation })}` };
}

const both = (flow: Flow, rows: readonly Row[]): KillCase[] =>
  rows.flatMap((row) => [killCase(flow, row, 'persisted'), killCase(flow, row, 'done')]);

const switching: readonly Row[] = ['sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'];

/** Updates that really fetch: the first ones of each appliance. Going back and forth later finds all chunks in a slot. */
export const fetchingCases: readonly KillCase[] = [
  ...both('update', ['fetching']),
  killCase('update', 'fetching', 'operation', 9),
  killCase('update', 'writing', 'operation', 12),
  killCase('update', 'resolved', 'operation', 3),
  killCase('update', 'writing', 'operation', 30),
];

export const updateCases: readonly KillCase[] = [
  killCase('update', 'idle', 'done'),
  ...both('update', ['resolved', 'writing', ...switching]),
  killCase('update', 'idle', 'persisted'),
  killCase('update', 'snapped', 'operation', 5),
  killCase('update', 'snapped', 'torn'),
  killCase('update', 'committing', 'torn'),
];

export const returnCases: readonly KillCase[] = [
  ...both('return', switching),
  killCase('return', 'idle', 'persisted'),
  killCase('return', 'committing', 'operation', 6),
];

export const failingCases: readonly KillCase[] = [
  killCase('failing', 'trial', 'done'),
  ...both('failing', ['reverting']),
  killCase('failing', 'reverting', 'operation', 12),
  killCase('failing', 'idle', 'persisted'),
];
