import type { Row } from '../../../protocol/state-record.ts';
import type { Moment, Plan } from './killing-files.ts';

/**
 * What the appliance was doing: a release that is good, going back by hand, a release that fails its trial, going back by
 * hand to data of before.
 */
export type Flow = 'update' | 'return' | 'failing' | 'data';

/** One transaction, in which the updater dies at each of these moments, one after the other. */
export interface KillCase {
  readonly flow: Flow;
  readonly deaths: readonly Plan[];
  readonly name: string;
}

const flowWords: Readonly<Record<Flow, string>> = {
  update: 'a good update',
  return: 'a rollback by hand',
  failing: 'an update that fails',
  data: 'a rollback to data of before',
};

function momentWords({ row, moment, operation }: Plan): string {
  switch (moment) {
    case 'persisted':
      return `${row} is on disk`;
    case 'done':
      return `${row} is done but the next row is not on disk`;
    case 'torn':
      return `half of the record that follows ${row} is written`;
    case 'operation':
      return `${row} has made ${operation - 1} changes to the disk`;
    case 'hold':
      return `${row} is held`;
    default:
      return moment satisfies never;
  }
}

const at = (row: Row, moment: Moment, operation = 1): Plan => ({ row, moment, operation });
const both = (row: Row): readonly Plan[] => [at(row, 'persisted'), at(row, 'done')];

function killCase(flow: Flow, ...deaths: Plan[]): KillCase {
  return { flow, deaths, name: `${flowWords[flow]}, when ${deaths.map(momentWords).join(', and when ')}` };
}

/** Updates that really fetch: the first ones of each appliance. Going back and forth later finds all chunks in a slot. */
export const fetchingCases: readonly KillCase[] = [
  killCase('update', at('idle', 'done'), at('resolved', 'persisted'), at('resolved', 'done')),
  killCase('update', at('fetching', 'persisted'), at('fetching', 'operation', 9), at('fetching', 'done')),
  killCase('update', ...both('writing')),
  killCase('update', at('resolved', 'operation', 3), at('fetching', 'operation', 4)),
  killCase('update', at('writing', 'operation', 12), at('writing', 'operation', 30)),
  killCase('update', ...both('sealed')),
];

export const updateCases: readonly KillCase[] = [
  killCase('update', ...both('quiesced')),
  killCase('update', ...both('snapped')),
  killCase('update', ...both('armed')),
  killCase('update', ...both('trial')),
  killCase('update', ...both('committing'), at('idle', 'persisted')),
  killCase('update', at('snapped', 'operation', 5), at('snapped', 'torn'), at('committing', 'torn')),
];

export const returnCases: readonly KillCase[] = [
  killCase('return', ...both('sealed')),
  killCase('return', ...both('quiesced')),
  killCase('return', ...both('snapped')),
  killCase('return', ...both('armed')),
  killCase('return', ...both('trial'), at('idle', 'persisted')),
  killCase('return', at('committing', 'persisted'), at('committing', 'operation', 6), at('committing', 'done')),
];

export const failingCases: readonly KillCase[] = [
  killCase('failing', at('trial', 'done'), at('reverting', 'done')),
  killCase('failing', at('reverting', 'persisted'), at('reverting', 'operation', 12), at('idle', 'persisted')),
];

/** The row that only a way back to data of before leads through. */
export const dataCase: KillCase = killCase('data', ...both('returning'), at('returning', 'operation', 4));
