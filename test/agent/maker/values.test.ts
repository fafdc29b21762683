import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dutyValuesIn, valueCharsMax, valuesMax } from '../../../agent/maker/values.ts';
import { openState, type State } from '../../../agent/state.ts';

let directory: string;
let state: State;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-values-'));
  state = openState(join(directory, 'state.db'));
});
afterEach(() => {
  state.close();
  rmSync(directory, { recursive: true });
});

describe('the values of a duty', () => {
  it('are its own, of any shape, until they are deleted', () => {
    const [meter, other] = [dutyValuesIn(state.database, 'meter'), dutyValuesIn(state.database, 'other')];
    meter.set('total', { kWh: [1, 2.5, null], site: 'ท่าเรือ' });
    other.set('total', 7);
    expect([meter.get('total'), other.get('total'), meter.get('none')]).toEqual([
      { kWh: [1, 2.5, null], site: 'ท่าเรือ' },
      7,
      null,
    ]);
    meter.delete('total');
    expect([meter.get('total'), other.get('total')]).toEqual([null, 7]);
  });

  it('are bounded in number and size, and a refused one changes nothing', () => {
    const values = dutyValuesIn(state.database, 'meter');
    state.database.transaction(() => {
      for (let i = 0; i < valuesMax; i += 1) values.set(`${i}`, i);
    })();
    expect(() => values.set('one more', 1)).toThrow(/1000 values at most/);
    values.set('5', 'another value');
    expect(() => values.set('5', 'x'.repeat(valueCharsMax))).toThrow(/1000000 characters at most/);
    expect(values.get('5')).toBe('another value');
    expect(() => values.set('k'.repeat(201), 1)).toThrow(/longer than 200/);
  });
});
