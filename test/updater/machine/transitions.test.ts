import { describe, expect, it } from 'vitest';
import { encodeRecord } from '../../../protocol/record.ts';
import {
  failureReasons,
  quarantineMax,
  type StateBody,
  stateBodyShape,
  stateSchema,
} from '../../../protocol/state-record.ts';
import { incomingSlot } from '../../../updater/machine/component-rules.ts';
import { next } from '../../../updater/machine/table.ts';
import { digestOf, events, idleState, installed, returnToData, stateIn } from '../support/states.ts';

const quarantined = (letter: string, version = '1.0.50') =>
  ({ manifest: digestOf(letter), version, reason: 'trial', verdict: 'stalled' }) as const;
const unexpected = expect.objectContaining({ code: 'unexpected-event' });

describe('the slot that is written', () => {
  const names = ['0', '1', '2', 'factory'] as const;
  const pairs = names.flatMap((committed) => [null, ...names].map((previous) => ({ committed, previous })));

  it.each(pairs)('is neither $committed, which is committed, nor $previous, which was before it', (kept) => {
    const { committed, previous } = kept;
    const app = {
      committed: installed(committed, '1.0.49', 'b'),
      previous: previous === null ? null : installed(previous, '1.0.48', 'a'),
    };
    const slot = incomingSlot(idleState({ app }), 'app');
    expect(['0', '1', '2']).toContain(slot);
    expect([committed, previous]).not.toContain(slot);
  });

  it('of the updater is the one that is not committed, and the previous one is given up before it is written', () => {
    const updater = { committed: installed('0', '1.1.0', 'd'), previous: installed('1', '1.0.0', 'f') };
    const begun = next(idleState({ updater }), {
      kind: 'take',
      choice: { ...events.take.choice, component: 'updater', version: '1.2.0' },
    });
    const writing = next(next(begun, events.resolved), events.fetched);
    expect(writing.transaction?.slot).toBe('1');
    expect(writing.updater.previous).toBeNull();
    expect(writing.app).toEqual(idleState().app);
  });

  it('of the operating system is the one that the effect names: it is not in this record', () => {
    const begun = next(idleState(), { kind: 'take', choice: { ...events.take.choice, component: 'os' } });
    const fetching = next(begun, events.resolved);
    expect(next(fetching, { ...events.fetched, slot: '1' })).toMatchObject({
      row: 'writing',
      transaction: { slot: '1' },
      app: idleState().app,
    });
    expect(() => next(fetching, events.fetched)).toThrow(expect.objectContaining({ code: 'unexpected-event' }));
  });
});

describe('a commit', () => {
  it('makes the trial slot the committed one and keeps the one before it as previous', () => {
    const after = next(stateIn('committing'), events.committed);
    expect(after.app).toEqual({
      committed: installed('2', '1.0.52', 'c', 2),
      previous: installed('1', '1.0.49', 'b'),
    });
    expect(after).toMatchObject({ committed: { app: '2' }, transaction: null, trial: null, quarantine: [] });
  });

  it('raises the floor to the lower of committed and previous, for its component only', () => {
    const app = { committed: installed('1', '1.0.49', 'b', 3), previous: null };
    const higher = stateIn('committing', idleState({ app, floor: { app: 1, updater: 1 } }));
    // The release on trial has security version 2, the one before it 3.
    expect(next(higher, events.committed).floor).toEqual({ app: 2, updater: 1 });
  });

  it('never lowers the floor', () => {
    const state = stateIn('committing', idleState({ floor: { app: 9, updater: 1 } }));
    expect(next(state, events.committed).floor).toEqual({ app: 9, updater: 1 });
  });

  it('takes its own release out of quarantine: a person brought it, and it is proven now', () => {
    const state = stateIn('committing', idleState({ quarantine: [quarantined('c'), quarantined('d')] }));
    expect(next(state, events.committed).quarantine).toEqual([quarantined('d')]);
  });
});

describe('a rollback', () => {
  it.each(failureReasons.filter((reason) => reason !== 'inconclusive'))(
    'quarantines the release with its verdict: %s (I12)',
    (reason) => {
      const reverting = next(stateIn('trial'), { kind: 'failed', reason, text: 'for a reason' });
      expect(reverting.transaction?.failure).toEqual({ reason, text: 'for a reason' });
      const after = next(reverting, events.reverted);
      const entry = { manifest: digestOf('c'), version: '1.0.52', reason: 'trial', verdict: reason };
      expect(after).toEqual({ ...idleState(), lastTx: 7, quarantine: [entry] });
    },
  );

  it('does not quarantine a release of which the power cuts left no verdict', () => {
    const reverting = next(stateIn('trial'), { kind: 'failed', reason: 'inconclusive', text: 'the power failed' });
    expect(next(reverting, events.reverted)).toEqual({ ...idleState(), lastTx: 7 });
  });

  it('leaves the floor and the previous version as they were', () => {
    const after = next(stateIn('reverting'), events.reverted);
    expect(after.floor).toEqual(idleState().floor);
    expect(after.app).toEqual(idleState().app);
  });

  it('keeps one entry a release, the newest last, and no more than the record holds', () => {
    const quarantine = Array.from({ length: quarantineMax }, (_, i) => ({
      ...quarantined('0', `1.0.${i}`),
      manifest: `${i.toString(16)}${'0'.repeat(63)}`,
    }));
    const before = [...quarantine.slice(0, -1), quarantined('c', '1.0.52')];
    const again = next(stateIn('reverting', idleState({ quarantine: before })), events.reverted);
    expect(again.quarantine.map(({ version }) => version)).toEqual([
      ...quarantine.slice(0, -1).map(({ version }) => version),
      '1.0.52',
    ]);
    const more = next(stateIn('reverting', idleState({ quarantine })), events.reverted);
    expect(more.quarantine).toHaveLength(quarantineMax);
    expect(more.quarantine[0]?.version).toBe('1.0.1');
  });
});

describe('going back by hand', () => {
  it('starts at sealed with the previous slot, which is not written again', () => {
    const begun = next(idleState(), events.return);
    expect(begun).toMatchObject({
      row: 'sealed',
      lastTx: 7,
      transaction: { kind: 'return', version: '1.0.48', slot: '0', waits: false, securityVersion: 1 },
    });
    // Without its lengths a trial would be over before it began, and nobody could ever go back.
    expect(begun.transaction?.trial).toEqual(events.return.trial);
  });

  it('is a bug where nothing was before', () => {
    const app = { ...idleState().app, previous: null };
    expect(() => next(idleState({ app }), events.return)).toThrow(unexpected);
  });

  const wayBack = ['clear', 'agent-gone', 'snapshot-done', 'started', 'passed', 'committed'] as const;
  const goBack = (from: StateBody) =>
    wayBack.reduce((state, kind) => next(state, events[kind]), next(from, events.return));

  it('needs a trial like any switch, then quarantines the version that was left, by hand', () => {
    const after = goBack(idleState());
    expect(after.committed.app).toBe('0');
    expect(after.app.previous).toEqual(idleState().app.committed);
    expect(after.quarantine).toEqual([
      { manifest: digestOf('b'), version: '1.0.49', reason: 'by hand', verdict: 'by-hand' },
    ]);
  });

  it('and forward again takes the version that runs out of quarantine', () => {
    const there = goBack(goBack(idleState()));
    expect(there.app.committed.version).toBe('1.0.49');
    expect(there.quarantine.map(({ version }) => version)).toEqual(['1.0.48']);
  });
});

describe('going back to data of before', () => {
  const toCopy = ['clear', 'agent-gone', 'snapshot-done'] as const;
  const onward = ['data-back', 'started', 'passed', 'committed'] as const;

  it('puts it back between the copy of the data of today and the flip, and nothing else does', () => {
    const returning = toCopy.reduce((state, kind) => next(state, events[kind]), next(idleState(), returnToData));
    expect(returning).toMatchObject({ row: 'returning', trial: null, transaction: { data: { tx: 3, ageH: 120 } } });
    expect(next(returning, events['data-back'])).toMatchObject({ row: 'armed', trial: { slot: '0' } });
    const kept = toCopy.reduce((state, kind) => next(state, events[kind]), next(idleState(), events.return));
    expect(kept.row).toBe('armed');
  });

  it('ends as a return by hand does', () => {
    const after = onward.reduce((state, kind) => next(state, events[kind]), stateIn('returning'));
    expect(after).toMatchObject({ row: 'idle', committed: { app: '0' }, transaction: null });
    expect(after.quarantine).toMatchObject([{ version: '1.0.49', reason: 'by hand' }]);
  });

  it('is rolled back where it cannot be done, which says nothing about the version', () => {
    const failed = next(stateIn('returning'), {
      kind: 'failed',
      reason: 'inconclusive',
      text: 'a byte is another one',
    });
    expect(failed).toMatchObject({ row: 'reverting', trial: null });
    expect(next(failed, events.reverted)).toEqual({ ...idleState(), lastTx: 7 });
  });
});

describe('going back out of a crash loop', () => {
  const fromLoop = { ...events.return, cause: 'crash-loop' } as const;
  const wayBack = ['clear', 'agent-gone', 'snapshot-done', 'started', 'passed', 'committed'] as const;
  const left = idleState().app.committed.manifest;

  it('uses its one try up in the flip that begins it, whatever comes of it', () => {
    const begun = next(idleState(), fromLoop);
    expect(begun).toMatchObject({ row: 'sealed', rescued: left, transaction: { kind: 'return', cause: 'crash-loop' } });
    expect(next(begun, events.refused)).toMatchObject({ row: 'idle', rescued: left });
    const failing = ['clear', 'agent-gone', 'snapshot-done', 'started', 'failed', 'reverted'] as const;
    const after = failing.reduce((state, kind) => next(state, events[kind]), begun);
    expect(after).toMatchObject({ row: 'idle', rescued: left, app: idleState().app });
  });

  it('quarantines what was left as a trial that failed does: it does not come again by itself', () => {
    const after = wayBack.reduce((state, kind) => next(state, events[kind]), next(idleState(), fromLoop));
    expect(after.quarantine).toEqual([{ manifest: left, version: '1.0.49', reason: 'trial', verdict: 'crash-loop' }]);
    expect(after.app).toMatchObject({ committed: { version: '1.0.48' }, previous: { version: '1.0.49' } });
  });

  it('by hand uses nothing up', () => {
    expect(next(idleState(), events.return).rescued).toBeUndefined();
  });

  it('may be done once more for a version that was committed anew, and for that one only', () => {
    const again = stateIn('committing', idleState({ rescued: digestOf('c') }));
    expect(next(again, events.committed).rescued).toBeUndefined();
    const other = stateIn('committing', idleState({ rescued: left }));
    expect(next(other, events.committed).rescued).toBe(left);
  });
});

describe('lifting a quarantine', () => {
  const state = idleState({ quarantine: [quarantined('c'), quarantined('d')] });

  it('takes out the one release that was named', () => {
    expect(next(state, { kind: 'lift', manifest: digestOf('c') }).quarantine).toEqual([quarantined('d')]);
  });

  it('takes out all when none is named', () => {
    expect(next(state, { kind: 'lift', manifest: null }).quarantine).toEqual([]);
  });
});

describe('the end of the rollback window', () => {
  it('is counted in the record, from nothing with each commit', () => {
    const kept = next(idleState(), events['window-time']);
    expect(kept).toEqual({ ...idleState(), windowUsedMs: 60_000 });
    expect(next(stateIn('committing', kept), events.committed).windowUsedMs).toBe(0);
    expect(next(stateIn('reverting', kept), events.reverted).windowUsedMs).toBe(60_000);
  });

  it('gives up the previous version and raises the floor to the committed one in one flip', () => {
    const app = { committed: installed('1', '1.0.49', 'b', 4), previous: installed('0', '1.0.48', 'a', 2) };
    const after = next(stateIn('closing', idleState({ app, floor: { app: 2, updater: 1 } })), events.closed);
    expect(after.app).toEqual({ ...app, previous: null });
    expect(after.floor).toEqual({ app: 4, updater: 1 });
  });

  it('never lowers the floor', () => {
    const state = stateIn('closing', idleState({ floor: { app: 7, updater: 1 } }));
    expect(next(state, events.closed).floor.app).toBe(7);
  });
});

describe('what an agent says of itself', () => {
  const names = Array.from({ length: 32 }, (_, i) => `\u0001${i}`.padEnd(40, '\u0007'));
  const baseline = Object.fromEntries(names.map((name) => [name, 'ok' as const]));
  const longVersion = `1.0.0-${'x'.repeat(58)}`;
  const full = idleState({
    quarantine: Array.from({ length: quarantineMax }, (_, i) => ({
      ...quarantined('0', longVersion),
      manifest: `${i.toString(16)}${'0'.repeat(63)}`,
    })),
  });
  const end = { kind: 'failed', reason: 'regression', text: `worse than before: ${names.join(', ')}` } as const;

  it.each([
    { name: 'an ordinary appliance', from: idleState() },
    { name: 'a full quarantine of long names', from: full },
  ])('never makes a state that cannot be stored or read again: $name', ({ from }) => {
    const quiesced = next(stateIn('sealed', from), { ...events.clear, baseline });
    const trial = [events['agent-gone'], events['snapshot-done'], events.started].reduce(next, quiesced);
    const reverting = next(trial, end);
    for (const state of [quiesced, trial, reverting, next(reverting, events.reverted)]) {
      expect(() => encodeRecord({ seq: 1, schema: stateSchema, body: state })).not.toThrow();
      expect(stateBodyShape.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
    }
    expect(reverting.transaction?.failure?.text).toMatch(/^worse than before/);
    expect(next(reverting, events.reverted).quarantine.at(-1)?.version).toBe('1.0.52');
  });

  it('is kept whole where there is room', () => {
    const few = { disk: 'ok', clock: 'warn', network: 'fail', state: 'unknown' } as const;
    const quiesced = next(stateIn('sealed'), { ...events.clear, baseline: few });
    expect(quiesced.transaction?.baseline).toEqual(few);
  });
});
