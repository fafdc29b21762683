import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dutyStoreIn, dutyValuesIn, valueCharsMax, valuesMax } from '../../../agent/duties/duty-store.ts';
import { type DutyProgress, noProgress } from '../../../agent/duties/progress-of-duty.ts';
import { openState, type State } from '../../../agent/state.ts';

let directory: string;
let state: State;
const open = () => openState(join(directory, 'state.db'));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-duties-'));
  state = open();
});
afterEach(() => {
  state.close();
  rmSync(directory, { recursive: true });
});

const progress: DutyProgress = {
  attempts: 1,
  failures: 3,
  opened: 1,
  open: { since: { boot: 'a', monoMs: 4.5 }, forMs: 60_000 },
  runningSince: null,
  last: { at: { boot: 'a', monoMs: 4 }, tookMs: 3.5, outcome: 'failed', error: 'threw: no meter' },
  taken: '2026-07-01 02:30',
};

describe('the progress of a duty', () => {
  it('is there after a restart, and nothing is known of another one', () => {
    dutyStoreIn(state.database).write('meter', progress);
    state.close();
    state = open();
    expect(dutyStoreIn(state.database).read('meter')).toEqual(progress);
    expect(dutyStoreIn(state.database).read('other')).toEqual(noProgress);
  });

  it.each(['', '{"x', 'null', '{"attempts":-1}', JSON.stringify({ ...progress, open: { forMs: 5 } })])(
    'that is damaged (%s) begins anew',
    (text) => {
      state.database.prepare('INSERT INTO duties (name, progress) VALUES (?, ?)').run('meter', text);
      expect(dutyStoreIn(state.database).read('meter')).toEqual(noProgress);
    },
  );

  it('is kept of two thousand duties at most, and always of the one that ran', () => {
    const store = dutyStoreIn(state.database);
    state.database.transaction(() => {
      for (let i = 0; i < 2_000; i += 1) store.write(`duty-${i}`, progress);
    })();
    store.write('a-new-one', progress);
    const { size } = state.database.prepare<[], { size: number }>('SELECT count(*) AS size FROM duties').get() ?? {};
    expect([size, store.read('a-new-one')]).toEqual([2_000, progress]);
  });
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
