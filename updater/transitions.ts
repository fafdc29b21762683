import { type SlotName, writableSlots } from '../protocol/component.ts';
import type { Digest } from '../protocol/digest.ts';
import {
  type Installed,
  type Quarantined,
  quarantineMax,
  type StateBody,
  type Transaction,
} from '../protocol/state-record.ts';
import { type Choice, type EventOf, UnexpectedEventError } from './machine-event.ts';

/** The transitions of the state table that do more than name the next row. All are pure. */

/** The transaction in flight. @throws when there is none: a bug, since every row but idle, safe and closing has one */
export function transactionOf(state: StateBody): Transaction {
  if (state.transaction === null) throw new UnexpectedEventError(`row ${state.row} has no transaction`);
  return state.transaction;
}

export function change(state: StateBody, changes: Partial<Transaction>): StateBody {
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

export function begin(state: StateBody, { choice }: EventOf<'take'>): StateBody {
  return { ...newTransaction(state, choice), row: 'resolved' };
}

/** Back to the previous version: it was proven before, so it starts at `sealed`, with its slot as it is. */
export function beginReturn(state: StateBody, { kind: _, ...asked }: EventOf<'return'>): StateBody {
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
  const { slot, securityVersion } = previous;
  const returning: StateBody = { ...change(begun, { slot, securityVersion, ...asked }), row: 'sealed' };
  // The budget is used up in the same flip that begins: no crash gives it back.
  return asked.cause === undefined ? returning : { ...returning, rescued: state.app.committed.manifest };
}

export function lift(state: StateBody, { manifest }: EventOf<'lift'>): StateBody {
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

export function beginWriting(state: StateBody, { fetchedMs, slot }: EventOf<'fetched'>): StateBody {
  const { component } = transactionOf(state);
  // Which slot of the operating system runs, its devices say, not this record.
  if (component === 'os') {
    if (slot === null) throw new UnexpectedEventError('an os release was fetched for no slot');
    return { ...change(state, { slot, fetchedMs }), row: 'writing' };
  }
  return writeInto(state, component, fetchedMs);
}

function writeInto(state: StateBody, component: 'app' | 'updater', fetchedMs: number): StateBody {
  const slot = incomingSlot(state, component);
  const kept = state[component];
  const previous = kept.previous?.slot === slot ? null : kept.previous;
  return { ...change(state, { slot, fetchedMs }), [component]: { ...kept, previous }, row: 'writing' };
}

/** Where data of before was asked for, it is put back between the copy of today's and the flip. */
export function afterSnapshot(state: StateBody): StateBody {
  return transactionOf(state).data === undefined ? arm(state) : { ...state, row: 'returning' };
}

export function arm(state: StateBody): StateBody {
  const { tx, component, slot, trial } = transactionOf(state);
  if (slot === null) throw new UnexpectedEventError('nothing was written that could be armed');
  return { ...state, row: 'armed', trial: { tx, component, slot, tries: trial.tries } };
}

/**
 * An updater goes on trial without a stop and without a copy of the agent's state: the agent does not notice. Only an
 * updater does, so that no agent gets around the copy of its state (I4).
 */
export function armUpdater(state: StateBody, { baselineServer }: EventOf<'probed'>): StateBody {
  if (transactionOf(state).component !== 'updater') throw new UnexpectedEventError('only an updater is probed');
  return arm(change(state, { baselineServer }));
}

export function fail(state: StateBody, { reason, text }: EventOf<'failed'>): StateBody {
  // launch must not start the trial slot again: from here on only the updater starts the agent.
  return { ...change(state, { failure: { reason, text } }), row: 'reverting', trial: null };
}

/** DESIGN section 5: at the commit the floor is the lower of the committed and the kept previous version; never falls. */
function raisedFloor(floor: number, committed: Installed, previous: Installed | null): number {
  return Math.max(floor, Math.min(committed.securityVersion, previous?.securityVersion ?? committed.securityVersion));
}

/** What a commit of any component changes. */
function commitOf(state: StateBody, component: 'app' | 'updater', kept: Installed | null): StateBody {
  const { slot, version, manifest, securityVersion } = transactionOf(state);
  if (slot === null) throw new UnexpectedEventError('no slot to commit');
  const committed: Installed = { slot, version, manifest, securityVersion };
  const previous = kept?.slot === slot ? null : kept;
  return {
    ...state,
    transaction: null,
    trial: null,
    committed: { ...state.committed, [component]: slot },
    [component]: { committed, previous },
    floor: { ...state.floor, [component]: raisedFloor(state.floor[component], committed, previous) },
    quarantine: without(state.quarantine, manifest),
  };
}

export function commit(state: StateBody): StateBody {
  const { component, kind, manifest, cause } = transactionOf(state);
  if (component === 'os') throw new UnexpectedEventError('no slot to commit');
  const before = state[component].committed;
  // Of the agent, its data and its rollback window nothing changes with the updater.
  if (component === 'updater') return { ...commitOf(state, component, before), row: restOf(state) };
  const { safe } = state;
  // A damaged version is none to go back to; the one before it may be.
  const after = commitOf(state, component, safe?.reason === 'slot-damaged' ? state.app.previous : before);
  const left: Quarantined = {
    manifest: before.manifest,
    version: before.version,
    ...(cause === undefined ? { reason: 'by hand', verdict: 'by-hand' } : { reason: 'trial', verdict: cause }),
  };
  return {
    ...after,
    row: 'idle',
    windowUsedMs: 0,
    safe: null,
    // What is committed anew was wanted again by a person: it may be left by itself once more.
    ...(kind !== 'return' && state.rescued === manifest ? { rescued: undefined } : {}),
    // What was left, by hand or because it crash-looped, does not come again by itself (I12); out of safe mode nobody left it.
    quarantine: kind === 'return' && safe === null ? quarantined(after.quarantine, left) : after.quarantine,
  };
}

function without(list: readonly Quarantined[], manifest: Digest): Quarantined[] {
  return list.filter((entry) => entry.manifest !== manifest);
}

function quarantined(list: readonly Quarantined[], entry: Quarantined): Quarantined[] {
  return [...without(list, entry.manifest), entry].slice(-quarantineMax);
}

export function revert(state: StateBody): StateBody {
  const { component, manifest, version, failure } = transactionOf(state);
  if (failure === null) throw new UnexpectedEventError('reverted without a verdict');
  const named = component === 'app' ? {} : { component };
  const entry: Quarantined = { manifest, version, ...named, reason: 'trial', verdict: failure.reason };
  // Running out of boots says nothing about the version: it is not quarantined.
  const quarantine = failure.reason === 'inconclusive' ? state.quarantine : quarantined(state.quarantine, entry);
  return { ...state, row: restOf(state), transaction: null, trial: null, quarantine };
}

/** Where an appliance rests that has no transaction. */
export function restOf({ safe }: StateBody): 'idle' | 'safe' {
  return safe === null ? 'idle' : 'safe';
}

export function intoSafe(state: StateBody, { safe }: EventOf<'damaged'>): StateBody {
  return { ...state, row: 'safe', safe };
}

/** The trial is over, but what ran before it has lost its state. */
export function revertIntoSafe(state: StateBody, event: EventOf<'damaged'>): StateBody {
  return intoSafe(revert(state), event);
}

export function outOfSafe(state: StateBody): StateBody {
  return { ...state, row: 'idle', safe: null };
}

export function keepWindow(state: StateBody, { usedMs }: EventOf<'window-time'>): StateBody {
  return { ...state, windowUsedMs: usedMs };
}

/** The previous version is not launchable any more when this is reached: only then may the floor rise. */
export function close(state: StateBody): StateBody {
  const closed = (component: 'app' | 'updater') =>
    Math.max(state.floor[component], state[component].committed.securityVersion);
  return {
    ...state,
    row: 'idle',
    app: { ...state.app, previous: null },
    floor: { ...state.floor, app: closed('app') },
  };
}
