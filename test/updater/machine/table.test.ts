import { describe, expect, it } from 'vitest';
import { type Row, rows, stateBodyShape } from '../../../protocol/state-record.ts';
import type { EventKind } from '../../../updater/machine/event.ts';
import { afterCrash, next } from '../../../updater/machine/table.ts';
import { events, idleState, stateIn } from '../support/states.ts';

interface Expected {
  /** Where each event leads; every other event is a bug. */
  readonly on: Partial<Record<EventKind, Row>>;
  /** Where the next run carries on after a power cut in this row. */
  readonly powerCut: Row;
}

const expected: Readonly<Record<Row, Expected>> = {
  idle: {
    on: {
      nothing: 'idle',
      take: 'resolved',
      return: 'sealed',
      lift: 'idle',
      'window-time': 'idle',
      'window-ended': 'closing',
      damaged: 'safe',
    },
    powerCut: 'idle',
  },
  resolved: { on: { resolved: 'fetching', refused: 'idle', interrupted: 'resolved' }, powerCut: 'resolved' },
  fetching: { on: { fetched: 'writing', refused: 'idle', interrupted: 'fetching' }, powerCut: 'fetching' },
  writing: { on: { written: 'sealed', refused: 'idle', interrupted: 'fetching' }, powerCut: 'writing' },
  sealed: { on: { clear: 'quiesced', nothing: 'sealed', refused: 'idle', kept: 'idle' }, powerCut: 'sealed' },
  quiesced: { on: { 'agent-gone': 'snapped', 'agent-stays': 'sealed' }, powerCut: 'sealed' },
  snapped: { on: { 'snapshot-done': 'armed', 'snapshot-failed': 'sealed' }, powerCut: 'sealed' },
  returning: { on: { 'data-back': 'armed', failed: 'reverting' }, powerCut: 'returning' },
  armed: { on: { started: 'trial', failed: 'reverting', nothing: 'armed' }, powerCut: 'armed' },
  trial: {
    on: { 'time-passed': 'trial', passed: 'committing', failed: 'reverting', nothing: 'trial' },
    powerCut: 'trial',
  },
  committing: { on: { committed: 'idle' }, powerCut: 'committing' },
  reverting: { on: { reverted: 'idle', damaged: 'safe' }, powerCut: 'reverting' },
  closing: { on: { closed: 'idle' }, powerCut: 'closing' },
  safe: { on: { nothing: 'safe', take: 'resolved', return: 'sealed', lift: 'safe', sound: 'idle' }, powerCut: 'safe' },
};

const eventKinds = Object.values(events).map(({ kind }) => kind);
const everyPair = rows.flatMap((row) => eventKinds.map((kind) => ({ row, kind, leadsTo: expected[row].on[kind] })));

describe('the state table', () => {
  it.each(everyPair.filter(({ leadsTo }) => leadsTo !== undefined))(
    '$row, $kind -> $leadsTo',
    ({ row, kind, leadsTo }) => {
      const after = next(stateIn(row), events[kind]);
      expect(after.row).toBe(leadsTo);
      expect(stateBodyShape.parse(after)).toEqual(after);
    },
  );

  it.each(everyPair.filter(({ leadsTo }) => leadsTo === undefined))('$row refuses $kind as a bug', ({ row, kind }) => {
    expect(() => next(stateIn(row), events[kind])).toThrow(expect.objectContaining({ code: 'unexpected-event' }));
  });

  it.each(rows.map((row) => ({ row, leadsTo: expected[row].powerCut })))(
    'a power cut in $row goes on in $leadsTo, and a second one changes nothing more',
    ({ row, leadsTo }) => {
      const once = afterCrash(stateIn(row));
      expect(once.row).toBe(leadsTo);
      expect(afterCrash(once)).toBe(once);
    },
  );

  it('does not change the state that it is given', () => {
    for (const { row, kind, leadsTo } of everyPair) {
      if (leadsTo === undefined) continue;
      const before = stateIn(row);
      const copy = structuredClone(before);
      next(before, events[kind]);
      expect(before).toEqual(copy);
    }
  });
});

describe('what launch may start', () => {
  const atTrial = new Set<Row>(['armed', 'trial', 'committing']);

  it.each(rows)('in %s there is a trial slot only from armed to the end of committing', (row) => {
    const { trial, committed } = stateIn(row);
    expect(trial).toEqual(atTrial.has(row) ? { tx: 7, component: 'app', slot: '2', tries: 3 } : null);
    expect(committed).toEqual({ app: '1', updater: 'factory' });
  });

  it('keeps the committed slot through everything but the commit (I9)', () => {
    for (const { row, kind, leadsTo } of everyPair) {
      if (leadsTo === undefined) continue;
      const before = stateIn(row);
      const after = next(before, events[kind]);
      expect(after.committed.app).toBe(kind === 'committed' ? '2' : before.committed.app);
    }
  });

  it('commits only out of a trial that passed (I6)', () => {
    const leading = everyPair.filter(({ row, leadsTo }) => leadsTo === 'committing' && row !== 'committing');
    expect(leading).toEqual([{ row: 'trial', kind: 'passed', leadsTo: 'committing' }]);
    const changing = everyPair.filter(({ kind, leadsTo }) => kind === 'committed' && leadsTo !== undefined);
    expect(changing).toEqual([{ row: 'committing', kind: 'committed', leadsTo: 'idle' }]);
  });

  it('never goes forward out of reverting (I8)', () => {
    expect(Object.keys(expected.reverting.on)).toEqual(['reverted', 'damaged']);
    expect(next(stateIn('reverting'), events.reverted).trial).toBeNull();
  });
});

describe('a transaction', () => {
  it('has a number that no other had, also when the one before was refused', () => {
    const refused = next(stateIn('resolved'), events.refused);
    expect(refused.lastTx).toBe(7);
    expect(next(refused, events.take).transaction?.tx).toBe(8);
  });

  it('leaves nothing of itself when it is refused before the switch', () => {
    for (const row of ['resolved', 'fetching', 'writing', 'sealed'] as const) {
      expect(next(stateIn(row), events.refused)).toEqual({ ...idleState(), lastTx: 7 });
    }
  });

  it('takes the times of trial, fetch and standstill with it', () => {
    const { transaction } = stateIn('committing');
    expect(transaction).toMatchObject({
      slot: '2',
      securityVersion: 2,
      trial: { healthyMs: 5_000, deadlineMs: 30_000, tries: 3 },
      baseline: { disk: 'ok' },
      baselineServer: 'ok',
      fetchedMs: 120,
      downMs: 900,
    });
  });

  it('keeps the healthy time of a trial in the record, where a killed judge finds it', () => {
    const { transaction } = next(stateIn('trial'), events['time-passed']);
    expect(transaction).toMatchObject({ healthyMs: 2_000, usedMs: 3_000 });
  });
});
