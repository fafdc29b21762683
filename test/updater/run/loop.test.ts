import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { type Row, rows, type StateBody } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import type { Effect, MachineEvent } from '../../../updater/machine/event.ts';
import { afterCrash, table } from '../../../updater/machine/table.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';
import { type OnEvent, type Persist, type RunEffect, runLoop } from '../../../updater/run/loop.ts';
import { events, idleState, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { PowerCut } from '../support/wrapped-files.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
});
const load = () => loadState(realFiles, layout);
const save: Persist = (state) => void saveState(realFiles, layout, state);
const nobodyLooks = async () => undefined;

/** What each effect finds out when all goes well, up to the verdict. */
function outcome(effect: Effect, state: StateBody, isGood: boolean): MachineEvent {
  const isDone = state.app.committed.version === '1.0.52' || state.quarantine.length > 0;
  const found: Readonly<Record<Effect, MachineEvent>> = {
    ask: isDone ? events.nothing : events.take,
    resolve: events.resolved,
    fetch: events.fetched,
    write: events.written,
    'await-window': events.clear,
    'stop-agent': events['agent-gone'],
    snapshot: events['snapshot-done'],
    'put-back': events['data-back'],
    'start-trial': events.started,
    judge: isGood ? events.passed : events.failed,
    commit: events.committed,
    revert: events.reverted,
    close: events.closed,
  };
  return found[effect];
}
const world =
  (isGood: boolean): RunEffect =>
  async (effect, state) =>
    outcome(effect, state, isGood);

const goodWay: readonly Row[] = ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial'];

describe('a run', () => {
  it.each([
    { isGood: true, way: [...goodWay, 'committing', 'idle'] },
    { isGood: false, way: [...goodWay, 'reverting', 'idle'] },
  ])('has each row on disk before its effect begins: verdict good $isGood', async ({ isGood, way }) => {
    save(idleState());
    const lines: string[] = [];
    const persist: Persist = (state) => {
      save(state);
      lines.push(`persist ${state.row}`);
    };
    const run: RunEffect = async (effect, state) => {
      lines.push(`effect ${effect}`);
      expect(load()).toEqual(state);
      return outcome(effect, state, isGood);
    };
    await runLoop(load(), run, persist, nobodyLooks);
    const expected = way.flatMap((row) => [`persist ${row}`, `effect ${table[row as Row].effect}`]);
    expect(lines).toEqual(['effect ask', ...expected]);
  });

  it('tells of each new row after it is on disk', async () => {
    save(idleState());
    const told: string[] = [];
    await runLoop(load(), world(true), save, async (before, after) => {
      expect(load()).toEqual(after);
      told.push(`${before.row} ${after.row}`);
    });
    expect(told[0]).toBe('idle resolved');
    expect(told.at(-1)).toBe('committing idle');
  });

  it('tells of each event after its row is on disk, also of one that changes nothing', async () => {
    save(idleState());
    const told: string[] = [];
    const tell: OnEvent = async (before, { kind }, after) => {
      expect(load()).toEqual(after);
      told.push(`${before.row} ${kind}`);
    };
    const interrupted: RunEffect = async (effect, state) =>
      effect === 'fetch' ? { kind: 'interrupted' } : outcome(effect, state, true);
    await runLoop(load(), interrupted, save, nobodyLooks, tell);
    expect(told).toEqual(['idle take', 'resolved resolved', 'fetching interrupted']);
  });

  it('writes nothing when there is nothing to do', async () => {
    save(idleState());
    const none: RunEffect = async () => events.nothing;
    await runLoop(load(), none, () => expect.unreachable('nothing changed'), nobodyLooks);
    expect(load()).toEqual(idleState());
  });

  it('keeps the healthy time of a trial on disk while it lasts', async () => {
    save(stateIn('trial'));
    let looks = 0;
    const run: RunEffect = async (effect, state) => {
      looks += 1;
      if (effect !== 'judge' || looks > 5) return outcome(effect, state, true);
      expect(load().transaction?.usedMs).toBe((looks - 1) * 1_000);
      return { kind: 'time-passed', healthyMs: looks * 500, usedMs: looks * 1_000 };
    };
    expect((await runLoop(load(), run, save, nobodyLooks)).app.committed.version).toBe('1.0.52');
  });

  it.each([
    { row: 'sealed', event: events.nothing, why: 'the window is closed' },
    { row: 'fetching', event: events.interrupted, why: 'the network went away' },
    { row: 'resolved', event: events.interrupted, why: 'the network went away' },
    { row: 'quiesced', event: events['agent-stays'], why: 'the agent cannot be stopped' },
    { row: 'snapped', event: events['snapshot-failed'], why: 'the disk is full' },
  ] as const)('ends in $row when $why, and the next one goes on', async ({ row, event }) => {
    save(stateIn(row));
    let isFirst = true;
    const run: RunEffect = async (effect, state) => {
      const isNow = isFirst && effect === table[row].effect;
      if (isNow) isFirst = false;
      return isNow ? event : outcome(effect, state, true);
    };
    const ended = await runLoop(load(), run, save, nobodyLooks);
    expect(ended.row).toBe(row === 'quiesced' || row === 'snapped' ? 'sealed' : row);
    expect((await runLoop(load(), run, save, nobodyLooks)).app.committed.version).toBe('1.0.52');
  });
});

describe('a run that is killed', () => {
  const ends = [
    { isGood: true, version: '1.0.52', quarantined: 0 },
    { isGood: false, version: '1.0.49', quarantined: 1 },
  ];
  const moments = ['before the effect', 'after the effect', 'before it is on disk', 'after it is on disk'] as const;
  const cases = ends.flatMap((end) => {
    // Only a person's way back leads through `returning`.
    const reached = rows.filter((row) => row !== (end.isGood ? 'reverting' : 'committing') && row !== 'returning');
    return reached.flatMap((row) => moments.map((moment) => ({ ...end, row, moment })));
  });

  /** A run that dies once in a row; what was on disk then is all that is left. */
  async function dies(
    row: Row,
    moment: (typeof moments)[number],
    isGood: boolean,
    found: RunEffect = world(isGood),
  ): Promise<boolean> {
    let hasDied = false;
    const die = () => {
      hasDied = true;
      throw new PowerCut(moment);
    };
    const run: RunEffect = async (effect, state) => {
      if (state.row === row && moment === 'before the effect') die();
      const event = await found(effect, state);
      if (state.row === row && moment === 'after the effect') die();
      return event;
    };
    const persist: Persist = (state) => {
      if (state.row === row && moment === 'before it is on disk') die();
      save(state);
      if (state.row === row && moment === 'after it is on disk') die();
    };
    await runLoop(load(), run, persist, nobodyLooks).catch((error: unknown) => {
      if (!(error instanceof PowerCut)) throw error;
    });
    return hasDied;
  }

  it.each(cases)('in $row $moment ends where it would have: $version', async (given) => {
    const { row, moment, isGood, version, quarantined } = given;
    save(row === 'closing' || row === 'safe' ? stateIn(row) : idleState());
    // Out of safe mode only a commit leads.
    const staysSafe = row === 'safe' && !isGood;
    const isWritten = row !== 'closing' && (row !== 'safe' || staysSafe);
    expect(await dies(row, moment, isGood)).toBe(isWritten || moment.endsWith('effect'));
    const ended = await runLoop(load(), world(isGood), save, nobodyLooks);
    expect(ended).toMatchObject({
      row: staysSafe ? 'safe' : 'idle',
      transaction: null,
      trial: null,
      app: { committed: { version } },
    });
    expect(ended.quarantine).toHaveLength(quarantined);
    expect(load()).toEqual(ended);
    // One release is one transaction, however often its run died; only one that never got to disk has no number.
    expect(ended.lastTx).toBe(7);
  });

  it.each(
    ends.flatMap(({ isGood }) =>
      (['before the effect', 'after the effect'] as const).map((moment) => ({
        isGood,
        moment,
        version: isGood ? '1.0.48' : '1.0.49',
      })),
    ),
  )('in returning $moment ends where it would have: $version', async ({ moment, isGood, version }) => {
    save(stateIn('returning'));
    const effects: Effect[] = [];
    const found: RunEffect = async (effect, state) => {
      effects.push(effect);
      return effect === 'ask' ? events.nothing : outcome(effect, state, isGood);
    };
    expect(await dies('returning', moment, isGood, found)).toBe(true);
    const ended = await runLoop(load(), found, save, nobodyLooks);
    expect(ended).toMatchObject({ row: 'idle', transaction: null, trial: null, app: { committed: { version } } });
    // It is repeated, and nothing before it is: the copy of today's data is not made again.
    expect(effects).toContain('put-back');
    expect(effects).not.toContain('snapshot');
  });

  it('starts from what the table says, and has that on disk before it does anything', async () => {
    for (const row of ['quiesced', 'snapped'] as const) {
      save(stateIn(row));
      const seen: string[] = [];
      const run: RunEffect = async (effect) => {
        seen.push(`${load().row} ${effect}`);
        return events.nothing;
      };
      await runLoop(load(), run, save, nobodyLooks);
      expect(seen).toEqual(['sealed await-window']);
      expect(load()).toEqual(afterCrash(stateIn(row)));
    }
  });

  it('between two records of the state leaves one of them', async () => {
    save(idleState());
    let persisted = 0;
    const persist: Persist = (state) => {
      persisted += 1;
      const [older] = layout.stateRecords;
      save(state);
      if (persisted === 4) {
        // The newest record is torn: what was before it counts.
        const newest = persisted % 2 === 0 ? older : layout.stateRecords[1];
        const handle = realFiles.openWrite(newest);
        realFiles.write(handle, Buffer.alloc(512), 0);
        realFiles.close(handle);
        throw new PowerCut('while the record is written');
      }
    };
    await expect(runLoop(load(), world(true), persist, nobodyLooks)).rejects.toThrow(PowerCut);
    expect(goodWay).toContain(load().row);
    expect((await runLoop(load(), world(true), save, nobodyLooks)).app.committed.version).toBe('1.0.52');
  });
});
