import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WorkTable } from '../../../agent/maker/table.ts';
import { openState, type State } from '../../../agent/state.ts';

let directory: string;
let state: State;
const open = () => openState(join(directory, 'state.db'));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-table-'));
  state = open();
});
afterEach(() => {
  state.close();
  rmSync(directory, { recursive: true });
});
const tableOf = (owner: string, bounds?: { rows: number; chars: number }) =>
  new WorkTable(state.database, owner, bounds);

describe('the table of a piece of work', () => {
  it('has its own rows, of any shape, in the order in which they came, also after a restart', () => {
    const [meter, other] = [tableOf('meter'), tableOf('other')];
    const first = meter.add({ kW: 1.5, site: 'ท่าเรือ' });
    other.add('not the meter’s');
    const second = meter.add([null, 2]);
    state.close();
    state = open();
    const again = tableOf('meter');
    expect(again.rows(0)).toEqual([
      { n: first, row: { kW: 1.5, site: 'ท่าเรือ' } },
      { n: second, row: [null, 2] },
    ]);
    expect([again.rows(first).length, again.newest(1)[0]?.n, again.count()]).toEqual([1, second, 2]);
    again.removeUpTo(first);
    expect([again.rows(0).map(({ n }) => n), again.count(), tableOf('other').count()]).toEqual([[second], 1, 1]);
  });

  it('gives no number twice, also after its rows are removed', () => {
    const table = tableOf('meter');
    const n = table.add(1);
    table.removeUpTo(n);
    expect(table.add(2)).toBeGreaterThan(n);
  });

  it('keeps the newest rows beyond its bounds, of number and of size', () => {
    const few = tableOf('few', { rows: 3, chars: 1_000 });
    for (let i = 1; i <= 10; i += 1) few.add(i);
    expect([few.rows(0).map(({ row }) => row), few.count()]).toEqual([[8, 9, 10], 3]);
    const small = tableOf('small', { rows: 100, chars: 20 });
    for (const row of ['aaaaaa', 'bbbbbb', 'cccccc']) small.add(row);
    expect(small.rows(0).map(({ row }) => row)).toEqual(['bbbbbb', 'cccccc']);
    expect(() => small.add('x'.repeat(30))).toThrow(/20 characters at most/);
    expect(small.count()).toBe(2);
  });

  it('answers with a bounded part, and goes on from there', () => {
    const table = tableOf('large');
    state.database.transaction(() => {
      for (let i = 0; i < 1_500; i += 1) table.add(`${i}`.padStart(500, 'x'));
    })();
    const first = table.rows(0);
    expect(first.length).toBeLessThan(400);
    let [seen, last] = [0, 0];
    for (let rows = table.rows(last); rows.length > 0; rows = table.rows(last)) {
      seen += rows.length;
      last = rows.at(-1)?.n ?? 0;
    }
    expect([seen, table.newest(5).length]).toEqual([1_500, 5]);
  });
});
