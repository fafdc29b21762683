import { describe, expect, it } from 'vitest';
import type { Desired } from '../../../protocol/check-in.ts';
import { type Row, stateBodyShape } from '../../../protocol/state-record.ts';
import { wantedOf } from '../../../updater/choice/wanted.ts';
import { chooseSlot, readPrefix } from '../../../updater/launch/table.ts';
import { whyNoNewUpdater } from '../../../updater/machine/component-rules.ts';
import type { MachineEvent } from '../../../updater/machine/event.ts';
import { next } from '../../../updater/machine/table.ts';
import { lastRollback, whySentence } from '../../../updater/status/sentences.ts';
import { digestOf, events, idleState, installed, updaterUpdate } from '../support/states.ts';

/** An update of the updater: the table's rows without a stop and without a copy. */
const { closed, take } = updaterUpdate;
const way = [take, events.resolved, events.fetched, events.written, events.probed, events.started] as const;
const after = (steps: number, more: readonly MachineEvent[] = []) =>
  [...way.slice(0, steps), ...more].reduce((state, event) => next(state, event), closed);
const armed = after(5);
const onTrial = after(6);
const boot = 'this-boot';

describe('an update of the updater', () => {
  it('goes from sealed to armed at once, in a slot of its own, and leaves the agent where it is', () => {
    const rows = way.map((_, index) => after(index + 1).row);
    expect(rows).toEqual(['resolved', 'fetching', 'writing', 'sealed', 'armed', 'trial'] satisfies Row[]);
    expect(armed).toMatchObject({
      trial: { tx: 7, component: 'updater', slot: '0', tries: 3 },
      committed: closed.committed,
      app: closed.app,
      transaction: { baselineServer: 'ok' },
    });
    expect(stateBodyShape.parse(armed)).toEqual(armed);
  });

  it('stays armed, and on trial, until launch has started the new one', () => {
    expect(next(armed, events.nothing)).toBe(armed);
    expect(next(onTrial, events.nothing)).toBe(onTrial);
  });

  it('keeps floor, window and data of the agent when it is committed, and the one before it in its slot', () => {
    const window = { ...onTrial, windowUsedMs: 5_000 };
    const done = [events.passed, events.committed].reduce((state, event) => next(state, event), window);
    expect(done).toMatchObject({
      row: 'idle',
      committed: { app: '1', updater: '0' },
      app: closed.app,
      updater: { committed: { slot: '0', version: '1.1.0' }, previous: { slot: 'factory', version: '1.0.0' } },
      floor: { app: 1, updater: 1 },
      windowUsedMs: 5_000,
      trial: null,
      transaction: null,
    });
    // The next one is written where the one before was; what is committed is never given up.
    const again = [take, events.resolved, events.fetched].reduce((state, event) => next(state, event), done);
    expect(again).toMatchObject({
      row: 'writing',
      transaction: { slot: '1' },
      updater: { previous: { slot: 'factory' } },
    });
  });

  it('is quarantined as an updater when its trial fails, and says nothing about the agent', () => {
    const back = [events.failed, events.reverted].reduce((state, event) => next(state, event), onTrial);
    expect(back).toMatchObject({ row: 'idle', committed: closed.committed, updater: closed.updater });
    expect(back.quarantine).toEqual([
      { manifest: digestOf('c'), version: '1.1.0', component: 'updater', reason: 'trial', verdict: 'stalled' },
    ]);
    expect(lastRollback(back)).toBeUndefined();
    expect(lastRollback(back, 'updater')).toMatchObject({ version: '1.1.0' });
    const agent = { state: 'active', pid: 7, crashes: 0, lastExit: null, lastOutput: '' } as const;
    const said = whySentence({
      state: back,
      agent,
      crashes: 0,
      working: { word: 'works' },
      reasons: [],
      serverError: null,
      trouble: null,
      kept: null,
    });
    expect(said).toMatch(
      /^1\.0\.49 runs and is healthy\. Updater 1\.1\.0 was rolled back.*1\.0\.0 continues to update\.$/,
    );
  });

  it('is the only one that goes on trial without a copy of the state (I4)', () => {
    const ofAgent = [{ ...take, choice: { ...take.choice, component: 'app' } } as const, ...way.slice(1, 4)].reduce(
      (state, event) => next(state, event),
      closed,
    );
    expect(() => next(ofAgent, events.probed)).toThrow(expect.objectContaining({ code: 'unexpected-event' }));
  });
});

describe('what launch starts while an updater is on trial', () => {
  const prefix = (state: object) => {
    const read = readPrefix(JSON.parse(JSON.stringify(state)));
    if (read === null) throw new Error('no prefix');
    return read;
  };
  const count = (n: number, of = boot) => ({
    tx: 7,
    slot: '0',
    starts: Array.from({ length: n }, (_, index) => ({ boot: of, n: index + 1 })),
  });

  it.each([0, 1, 2])('the new one, counted, after %d tries; the agent is started as ever', (tries) => {
    for (const state of [armed, onTrial]) {
      const choice = chooseSlot('updater', prefix(state), count(tries), boot);
      expect(choice).toEqual({ start: 'slot', slot: '0', counted: true });
      expect(chooseSlot('app', prefix(state), null, boot)).toEqual({ start: 'slot', slot: '1', counted: false });
    }
  });

  it('the one before it when the tries are spent: an appliance is never without an updater (I10)', () => {
    const factory = { start: 'slot', slot: 'factory', counted: false };
    expect(chooseSlot('updater', prefix(onTrial), count(3), boot)).toEqual(factory);
    const boots = { tx: 7, slot: '0', starts: Array.from({ length: 10 }, (_, n) => ({ boot: `b${n}`, n })) };
    expect(chooseSlot('updater', prefix(onTrial), boots, boot)).toEqual(factory);
  });
});

describe('whether an updater is taken', () => {
  const desired: Desired = {
    release: { component: 'updater', version: '1.1.0', manifest: digestOf('c') },
    path: '/releases',
    openForS: 60,
    reasons: [],
  };

  it('is decided by the server where nothing stands in the way', () => {
    expect(wantedOf(closed, desired)).toEqual({ kind: 'take', choice: take.choice });
    const has = { ...closed, updater: { ...closed.updater, committed: installed('0', '1.1.0', 'c') } };
    expect(wantedOf(has, desired)).toEqual({ kind: 'nothing', why: 'is-here' });
  });

  it('not while the version before the agent can be gone back to, and not in safe mode; it says so', () => {
    expect(wantedOf(idleState(), desired)).toMatchObject({
      kind: 'hold',
      reason: 'updater 1.1.0 waits: an updater is not replaced while 1.0.49 can still be taken back to 1.0.48',
    });
    expect(whyNoNewUpdater({ ...closed, row: 'safe' })).toMatch(/safe mode/);
    expect(whyNoNewUpdater(closed)).toBeNull();
  });

  it('not when it is in quarantine here (I12)', () => {
    const back = [events.failed, events.reverted].reduce((state, event) => next(state, event), onTrial);
    expect(wantedOf(back, desired)).toEqual({ kind: 'nothing', why: 'quarantined' });
  });
});
