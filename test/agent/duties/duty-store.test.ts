import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dutyStoreIn } from '../../../agent/duties/duty-store.ts';
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
