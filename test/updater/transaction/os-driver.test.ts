import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { StateBody } from '../../../protocol/state-record.ts';
import { freshMemory } from '../../../updater/appliance/appliance.ts';
import { next, table } from '../../../updater/machine/table.ts';
import { recordEnd } from '../../../updater/outcome/outcome.ts';
import { transactionEffect } from '../../../updater/transaction/effects.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

/** As an updater that can switch a boot loader would leave it to this one, which cannot. */
function armed(): StateBody {
  const state = stateIn('armed');
  if (state.transaction === null || state.trial === null) throw new RangeError('nothing is armed');
  return {
    ...state,
    transaction: { ...state.transaction, component: 'os' },
    trial: { ...state.trial, component: 'os' },
  };
}

describe('an operating system that another updater has armed', () => {
  it('ends without a verdict, is not quarantined, and leaves the agent alone', async () => {
    const layout = temporaryAppliance();
    const { appliance, processes } = testAppliance(layout);
    const before = armed();
    const asked = () => expect.unreachable('nobody asks the server');
    let state = before;
    for (const row of ['armed', 'reverting'] as const) {
      const { effect } = table[row];
      if (effect === 'ask' || effect === 'close') throw new RangeError(`${row} has no effect of a transaction`);
      const found = await transactionEffect(effect, appliance, state, freshMemory(false), asked);
      state = next(state, recordEnd(appliance, state, found));
    }
    expect(state).toEqual({ ...before, row: 'idle', transaction: null, trial: null });
    expect(processes.orders).toEqual([]);
    expect(readFileSync(layout.history, 'utf8')).toContain('os 1.0.52 was rolled back');
  });
});
