import type { Row, StateBody } from '../../protocol/state-record.ts';
import { type Effect, type EventKind, type EventOf, type MachineEvent, UnexpectedEventError } from './event.ts';
import { fitted } from './record-room.ts';
import { change, restOf } from './transaction.ts';
import {
  afterSnapshot,
  arm,
  armUpdater,
  begin,
  beginReturn,
  beginWriting,
  close,
  commit,
  fail,
  intoSafe,
  keepWindow,
  lift,
  outOfSafe,
  revert,
  revertIntoSafe,
} from './transitions.ts';

type Transition<K extends EventKind> = (state: StateBody, event: EventOf<K>) => StateBody;

interface RowRules {
  /** Runs after the row is on disk; repeated when the updater comes back in this row. */
  readonly effect: Effect;
  readonly on: { readonly [K in EventKind]?: Transition<K> };
  /** Where an updater that finds this row at its start continues; the row itself when absent. */
  readonly afterCrash?: (state: StateBody) => StateBody;
}

const to =
  (row: Row) =>
  (state: StateBody): StateBody => ({ ...state, row });
const abandon = (state: StateBody): StateBody => ({ ...state, row: restOf(state), transaction: null, trial: null });
const backToSealed = to('sealed');
const stay = (state: StateBody): StateBody => state;

/**
 * The whole state table. Read it downwards: a good update goes from `idle` to `committing` and back to `idle`. Up to
 * `snapped` the committed slot runs; from `armed` on the trial slot does, until the verdict.
 */
export const table: Readonly<Record<Row, RowRules>> = {
  idle: {
    effect: 'ask',
    on: {
      nothing: stay,
      take: begin,
      return: beginReturn,
      lift,
      'window-time': keepWindow,
      'window-ended': to('closing'),
      damaged: intoSafe,
    },
  },
  resolved: {
    effect: 'resolve',
    on: {
      resolved: (state, { securityVersion, trial }) => ({
        ...change(state, { securityVersion, trial }),
        row: 'fetching',
      }),
      refused: abandon,
      interrupted: stay,
    },
  },
  fetching: {
    effect: 'fetch',
    on: { fetched: beginWriting, refused: abandon, interrupted: stay },
  },
  writing: {
    effect: 'write',
    // What was fetched has rotted: it is fetched again.
    on: { written: to('sealed'), refused: abandon, interrupted: to('fetching') },
  },
  sealed: {
    effect: 'await-window',
    on: {
      clear: (state, { baseline, baselineServer }) => ({
        ...change(state, { baseline, baselineServer }),
        row: 'quiesced',
      }),
      probed: armUpdater,
      nothing: stay,
      refused: abandon,
      kept: abandon,
    },
  },
  quiesced: {
    effect: 'stop-agent',
    on: { 'agent-gone': to('snapped'), 'agent-stays': backToSealed },
    afterCrash: backToSealed,
  },
  snapped: {
    effect: 'snapshot',
    on: { 'snapshot-done': afterSnapshot, 'snapshot-failed': backToSealed },
    afterCrash: backToSealed,
  },
  returning: { effect: 'put-back', on: { 'data-back': arm, failed: fail } },
  armed: {
    effect: 'start-trial',
    // `nothing`: the updater on trial has not been started yet; the updater that armed it ends its run for that.
    on: { started: to('trial'), failed: fail, nothing: stay },
  },
  trial: {
    effect: 'judge',
    on: {
      'time-passed': (state, { kind: _kind, ...times }) => change(state, times),
      passed: (state, { kind: _kind, ...found }) => ({ ...change(state, found), row: 'committing' }),
      failed: fail,
      nothing: stay,
    },
  },
  committing: { effect: 'commit', on: { committed: commit } },
  reverting: { effect: 'revert', on: { reverted: revert, damaged: revertIntoSafe } },
  closing: { effect: 'close', on: { closed: close } },
  safe: { effect: 'ask', on: { nothing: stay, take: begin, return: beginReturn, lift, sound: outOfSafe } },
};

/** The next state. Pure; the caller persists it before it runs the effect of the new row. */
export function next(state: StateBody, event: MachineEvent): StateBody {
  const transition = table[state.row].on[event.kind] as Transition<EventKind> | undefined;
  if (transition === undefined) throw new UnexpectedEventError(`${event.kind} cannot happen in ${state.row}`);
  return fitted(transition(state, event));
}

/** Where an updater that starts in this state continues. */
export function afterCrash(state: StateBody): StateBody {
  return table[state.row].afterCrash?.(state) ?? state;
}
