import type { Component, SlotName } from '../protocol/component.ts';
import { writableSlots } from '../protocol/component.ts';
import type { Digest } from '../protocol/digest.ts';
import type { CheckStatus } from '../protocol/health.ts';
import {
  type FailureReason,
  type Installed,
  type Quarantined,
  quarantineMax,
  type Row,
  type StateBody,
  type Transaction,
} from '../protocol/state-record.ts';

/** What a row makes the updater do, once the row is on disk. Each may be repeated. */
export type Effect =
  | 'ask'
  | 'resolve'
  | 'fetch'
  | 'write'
  | 'await-window'
  | 'stop-agent'
  | 'snapshot'
  | 'start-trial'
  | 'judge'
  | 'commit'
  | 'revert'
  | 'close';

/** A release that was chosen, before anything of it was looked at. */
export interface Choice {
  readonly kind: 'update' | 'install';
  readonly component: Component;
  readonly version: string;
  readonly manifest: Digest;
  readonly source: Transaction['source'];
  readonly waits: boolean;
}

/** What an effect found out. */
export type MachineEvent =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'take'; readonly choice: Choice }
  | { readonly kind: 'return' }
  | { readonly kind: 'lift'; readonly manifest: Digest | null }
  | { readonly kind: 'window-ended' }
  | { readonly kind: 'resolved'; readonly securityVersion: number; readonly trial: Transaction['trial'] }
  | { readonly kind: 'refused' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'fetched'; readonly fetchedMs: number }
  | { readonly kind: 'written' }
  | {
      readonly kind: 'clear';
      readonly baseline: Readonly<Record<string, CheckStatus>> | null;
      readonly baselineServer: CheckStatus;
    }
  | { readonly kind: 'agent-gone' }
  | { readonly kind: 'agent-stays' }
  | { readonly kind: 'snapshot-done' }
  | { readonly kind: 'snapshot-failed' }
  | { readonly kind: 'started' }
  | { readonly kind: 'time-passed'; readonly healthyMs: number; readonly usedMs: number }
  | { readonly kind: 'passed'; readonly downMs: number }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly text: string }
  | { readonly kind: 'committed' }
  | { readonly kind: 'reverted' }
  | { readonly kind: 'closed' };

type Kind = MachineEvent['kind'];
type EventOf<K extends Kind> = Extract<MachineEvent, { kind: K }>;
type Transition<K extends Kind> = (state: StateBody, event: EventOf<K>) => StateBody;

interface RowRules {
  /** Runs after the row is on disk; repeated when the updater comes back in this row. */
  readonly effect: Effect;
  readonly on: { readonly [K in Kind]?: Transition<K> };
  /** Where an updater that finds this row at its start carries on; the row itself when absent. */
  readonly afterCrash?: (state: StateBody) => StateBody;
}

const to =
  (row: Row) =>
  (state: StateBody): StateBody => ({ ...state, row });
const abandon = (state: StateBody): StateBody => ({ ...state, row: 'idle', transaction: null, trial: null });
const backToSealed = to('sealed');
const stay = (state: StateBody): StateBody => state;

/**
 * The state table of DESIGN section 4, whole. Read it downwards: a good update walks from `idle` to `committing` and
 * back to `idle`. Up to `snapped` the committed slot runs; from `armed` on the trial slot does, until the verdict.
 */
export const table: Readonly<Record<Row, RowRules>> = {
  idle: {
    effect: 'ask',
    on: { nothing: stay, take: begin, return: beginReturn, lift, 'window-ended': to('closing') },
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
    on: { written: to('sealed'), refused: abandon },
  },
  sealed: {
    effect: 'await-window',
    on: {
      clear: (state, { baseline, baselineServer }) => ({
        ...change(state, { baseline, baselineServer }),
        row: 'quiesced',
      }),
      nothing: stay,
      refused: abandon,
    },
  },
  quiesced: {
    effect: 'stop-agent',
    on: { 'agent-gone': to('snapped'), 'agent-stays': backToSealed },
    afterCrash: backToSealed,
  },
  snapped: {
    effect: 'snapshot',
    on: { 'snapshot-done': arm, 'snapshot-failed': backToSealed },
    afterCrash: backToSealed,
  },
  armed: {
    effect: 'start-trial',
    on: { started: to('trial'), failed: fail },
  },
  trial: {
    effect: 'judge',
    on: {
      'time-passed': (state, { healthyMs, usedMs }) => change(state, { healthyMs, usedMs }),
      passed: (state, { downMs }) => ({ ...change(state, { downMs }), row: 'committing' }),
      failed: fail,
    },
  },
  committing: { effect: 'commit', on: { committed: commit } },
  reverting: { effect: 'revert', on: { reverted: revert } },
  closing: { effect: 'close', on: { closed: close } },
  safe: { effect: 'ask', on: { nothing: stay, take: begin, return: beginReturn, lift } },
};

export class UnexpectedEventError extends Error {
  readonly code = 'unexpected-event';
}

/** The next state. Pure; the caller persists it before it runs the effect of the new row. */
export function next(state: StateBody, event: MachineEvent): StateBody {
  const transition = table[state.row].on[event.kind] as Transition<Kind> | undefined;
  if (transition === undefined) throw new UnexpectedEventError(`${event.kind} can not happen in ${state.row}`);
  return transition(state, event);
}

/** Where an updater that starts in this state carries on. */
export function afterCrash(state: StateBody): StateBody {
  return table[state.row].afterCrash?.(state) ?? state;
}

/** The transaction in flight. @throws when there is none: a bug, since every row but idle, safe and closing has one */
export function transactionOf(state: StateBody): Transaction {
  if (state.transaction === null) throw new UnexpectedEventError(`row ${state.row} has no transaction`);
  return state.transaction;
}

/** The component that a transaction replaces, as the record keeps it. */
export function componentOf(
  state: StateBody,
  component: Component,
): { committed: Installed; previous: Installed | null } {
  if (component === 'os') throw new RangeError('os slots are not kept in this record');
  return state[component];
}

function change(state: StateBody, changes: Partial<Transaction>): StateBody {
  return { ...state, transaction: { ...transactionOf(state), ...changes } };
}

function newTransaction(state: StateBody, about: Choice | (Omit<Choice, 'kind'> & { kind: 'return' })): StateBody {
  const tx = state.lastTx + 1;
  const transaction: Transaction = {
    ...about,
    tx,
    source: { ...about.source },
    securityVersion: 0,
    slot: null,
    trial: { healthyMs: 0, deadlineMs: 0, tries: 1 },
    baseline: null,
    baselineServer: 'unknown',
    healthyMs: 0,
    usedMs: 0,
    fetchedMs: 0,
    downMs: 0,
    failure: null,
  };
  return { ...state, lastTx: tx, transaction };
}

function begin(state: StateBody, { choice }: EventOf<'take'>): StateBody {
  return { ...newTransaction(state, choice), row: 'resolved' };
}

/** Back to the previous version: it was proven before, so it starts at `sealed`, with its slot as it is. */
function beginReturn(state: StateBody): StateBody {
  const { previous } = state.app;
  if (previous === null) throw new UnexpectedEventError('there is no previous version to return to');
  const begun = newTransaction(state, {
    kind: 'return',
    component: 'app',
    version: previous.version,
    manifest: previous.manifest,
    source: { kind: 'slot', path: previous.slot },
    waits: false,
  });
  return { ...change(begun, { slot: previous.slot, securityVersion: previous.securityVersion }), row: 'sealed' };
}

function lift(state: StateBody, { manifest }: EventOf<'lift'>): StateBody {
  return { ...state, quarantine: state.quarantine.filter((entry) => manifest !== null && entry.manifest !== manifest) };
}

/** The slot to write: neither the committed one nor the one before it, both of which must survive a failed write. */
export function incomingSlot(state: StateBody, component: 'app' | 'updater'): SlotName {
  const { committed, previous } = state[component];
  // The updater has two slots and factory: its previous one is given up when a new one is written.
  const kept = component === 'app' ? [committed.slot, previous?.slot] : [committed.slot];
  const free = writableSlots[component].find((slot) => !kept.includes(slot));
  if (free === undefined) throw new UnexpectedEventError(`no slot of ${component} is free`);
  return free;
}

function beginWriting(state: StateBody, { fetchedMs }: EventOf<'fetched'>): StateBody {
  const { component } = transactionOf(state);
  if (component === 'os') throw new RangeError('os is not written by this table yet');
  const slot = incomingSlot(state, component);
  const kept = state[component];
  const previous = kept.previous?.slot === slot ? null : kept.previous;
  return { ...change(state, { slot, fetchedMs }), [component]: { ...kept, previous }, row: 'writing' };
}

function arm(state: StateBody): StateBody {
  const { tx, component, slot, trial } = transactionOf(state);
  if (slot === null) throw new UnexpectedEventError('nothing was written that could be armed');
  return { ...state, row: 'armed', trial: { tx, component, slot, tries: trial.tries } };
}

function fail(state: StateBody, { reason, text }: EventOf<'failed'>): StateBody {
  // launch must not start the trial slot again: from here on only the updater starts the agent.
  return { ...change(state, { failure: { reason, text } }), row: 'reverting', trial: null };
}

/** DESIGN section 5: at the commit the floor is the lower of the committed and the kept previous version; never falls. */
function raisedFloor(floor: number, committed: Installed, previous: Installed | null): number {
  return Math.max(floor, Math.min(committed.securityVersion, previous?.securityVersion ?? committed.securityVersion));
}

function commit(state: StateBody): StateBody {
  const { component, slot, version, manifest, securityVersion, kind } = transactionOf(state);
  if (component === 'os' || slot === null) throw new UnexpectedEventError('no slot to commit');
  const committed: Installed = { slot, version, manifest, securityVersion };
  const previous = state[component].committed;
  const left: Quarantined = {
    manifest: previous.manifest,
    version: previous.version,
    reason: 'by hand',
    verdict: 'by-hand',
  };
  return {
    ...state,
    row: 'idle',
    transaction: null,
    trial: null,
    committed: { ...state.committed, [component]: slot },
    [component]: { committed, previous },
    floor: { ...state.floor, [component]: raisedFloor(state.floor[component], committed, previous) },
    // Whoever goes back by hand does not want to be brought forward again by itself (I12).
    quarantine: kind === 'return' ? quarantined(state.quarantine, left) : without(state.quarantine, manifest),
  };
}

function without(list: readonly Quarantined[], manifest: Digest): Quarantined[] {
  return list.filter((entry) => entry.manifest !== manifest);
}

function quarantined(list: readonly Quarantined[], entry: Quarantined): Quarantined[] {
  return [...without(list, entry.manifest), entry].slice(-quarantineMax);
}

function revert(state: StateBody): StateBody {
  const { manifest, version, failure } = transactionOf(state);
  if (failure === null) throw new UnexpectedEventError('reverted without a verdict');
  const entry: Quarantined = { manifest, version, reason: 'trial', verdict: failure.reason };
  // Running out of boots says nothing about the version: it is not quarantined.
  const quarantine = failure.reason === 'inconclusive' ? state.quarantine : quarantined(state.quarantine, entry);
  return { ...state, row: 'idle', transaction: null, trial: null, quarantine };
}

function close(state: StateBody): StateBody {
  const closed = (component: 'app' | 'updater') =>
    Math.max(state.floor[component], state[component].committed.securityVersion);
  return {
    ...state,
    row: 'idle',
    app: { ...state.app, previous: null },
    floor: { ...state.floor, app: closed('app') },
  };
}
