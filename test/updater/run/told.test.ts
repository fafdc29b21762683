import { describe, expect, it } from 'vitest';
import { rows } from '../../../protocol/state-record.ts';
import { table } from '../../../updater/machine/table.ts';
import { told } from '../../../updater/run/told.ts';

const tellings = rows.flatMap((row) =>
  Object.keys(table[row].on).flatMap((kind) => {
    const { whom, keepsAgentUp } = told({ row }, { kind } as Parameters<typeof told>[1]);
    return whom === 'nobody' && !keepsAgentUp ? [] : [`${row}, ${kind}: ${whom}${keepsAgentUp ? ', agent' : ''}`];
  }),
);

describe('what the loop tells of a step', () => {
  it('is that a run came to rest on its way to the switch, and that what it waited for is over', () => {
    expect(tellings).toEqual([
      'resolved, interrupted: server, agent',
      'fetching, interrupted: server, agent',
      'writing, interrupted: server, agent',
      'sealed, clear: people',
      'sealed, nothing: server',
    ]);
  });
});
