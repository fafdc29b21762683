import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { rulesOf } from './component-rules.ts';
import { type Choice, type EventOf, UnexpectedEventError } from './event.ts';
import { keepQuarantined } from './quarantine.ts';
import { change, restOf, transactionOf } from './transaction.ts';

/** The transitions of the state table that do more than name the next row. All are pure. */

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

export function begin(state: StateBody, { choice, id }: EventOf<'take'>): StateBody {
  const begun = newTransaction(state, choice);
  return { ...(id === undefined ? begun : change(begun, { id })), row: 'resolved' };
}

/** Back to the previous version: it was proven before, so it starts at `sealed`, with its slot unchanged. */
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
  // The same flip that begins the return uses up the budget: no crash gives it back.
  return asked.cause === undefined ? returning : { ...returning, rescued: state.app.committed.manifest };
}

export function lift(state: StateBody, { manifest }: EventOf<'lift'>): StateBody {
  return { ...state, quarantine: state.quarantine.filter((entry) => manifest !== null && entry.manifest !== manifest) };
}

export function beginWriting(state: StateBody, event: EventOf<'fetched'>): StateBody {
  return rulesOf(transactionOf(state).component).beginWriting(state, event);
}

/** If older data was asked for, it is put back between the copy of today's data and the flip. */
export function afterSnapshot(state: StateBody): StateBody {
  return transactionOf(state).data === undefined ? arm(state) : { ...state, row: 'returning' };
}

export function arm(state: StateBody): StateBody {
  const { tx, component, slot, trial } = transactionOf(state);
  if (slot === null) throw new UnexpectedEventError('nothing was written that could be armed');
  return { ...state, row: 'armed', trial: { tx, component, slot, tries: trial.tries } };
}

/**
 * An updater goes on trial without stopping the agent or copying its state: the agent does not notice. Only an updater
 * may, so that no agent can avoid the copy of its state (I4).
 */
export function armUpdater(state: StateBody, { baselineServer }: EventOf<'probed'>): StateBody {
  if (!rulesOf(transactionOf(state).component).isProbed) throw new UnexpectedEventError('only an updater is probed');
  return arm(change(state, { baselineServer }));
}

export function fail(state: StateBody, { reason, text }: EventOf<'failed'>): StateBody {
  // launch must not start the trial slot again: from here on, only the updater starts the agent.
  return { ...change(state, { failure: { reason, text } }), row: 'reverting', trial: null };
}

export function commit(state: StateBody): StateBody {
  return rulesOf(transactionOf(state).component).commit(state);
}

export function revert(state: StateBody): StateBody {
  const { component, manifest, version, failure } = transactionOf(state);
  if (failure === null) throw new UnexpectedEventError('reverted without a verdict');
  const named = rulesOf(component).quarantinedAs;
  const entry = { manifest, version, ...named, reason: 'trial', verdict: failure.reason } as const;
  // Running out of boots says nothing about the version: it is not quarantined.
  const quarantine = failure.reason === 'inconclusive' ? state.quarantine : keepQuarantined(state.quarantine, entry);
  return { ...state, row: restOf(state), transaction: null, trial: null, quarantine };
}

export function intoSafe(state: StateBody, { safe }: EventOf<'damaged'>): StateBody {
  return { ...state, row: 'safe', safe };
}

/** The trial is over, but the version before it has lost its state. */
export function revertIntoSafe(state: StateBody, event: EventOf<'damaged'>): StateBody {
  return intoSafe(revert(state), event);
}

export function outOfSafe(state: StateBody): StateBody {
  return { ...state, row: 'idle', safe: null };
}

export function keepWindow(state: StateBody, { usedMs }: EventOf<'window-time'>): StateBody {
  return { ...state, windowUsedMs: usedMs };
}

/** Reached only once the previous version can no longer be launched: only then may the floor rise. */
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
