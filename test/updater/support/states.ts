import type { Installed, Row, StateBody } from '../../../protocol/state-record.ts';
import type { Choice, EventOf, MachineEvent } from '../../../updater/machine/event.ts';
import { next } from '../../../updater/machine/table.ts';

/** A digest that is easy to tell from another. */
export function digestOf(letter: string): string {
  return letter.repeat(64);
}

export function installed(slot: Installed['slot'], version: string, letter: string, securityVersion = 1): Installed {
  return { slot, version, manifest: digestOf(letter), securityVersion };
}

/** Runs 1.0.49 from slot 1, and 1.0.48 is still there in slot 0. */
export function idleState(changes: Partial<StateBody> = {}): StateBody {
  return {
    row: 'idle',
    committed: { app: '1', updater: 'factory' },
    trial: null,
    floor: { app: 1, updater: 1 },
    app: { committed: installed('1', '1.0.49', 'b'), previous: installed('0', '1.0.48', 'a') },
    updater: { committed: installed('factory', '1.0.0', 'f'), previous: null },
    lastTx: 6,
    quarantine: [],
    windowUsedMs: 0,
    safe: null,
    transaction: null,
    ...changes,
  };
}

const choice: Choice = {
  kind: 'update',
  component: 'app',
  version: '1.0.52',
  manifest: digestOf('c'),
  source: { kind: 'server', path: '/releases' },
  waits: true,
};

/** One event of each kind. */
export const events = {
  nothing: { kind: 'nothing' },
  take: { kind: 'take', choice },
  return: { kind: 'return', trial: { healthyMs: 4_000, deadlineMs: 20_000, tries: 3 } },
  lift: { kind: 'lift', manifest: digestOf('c') },
  'window-time': { kind: 'window-time', usedMs: 60_000 },
  'window-ended': { kind: 'window-ended' },
  resolved: { kind: 'resolved', securityVersion: 2, trial: { healthyMs: 5_000, deadlineMs: 30_000, tries: 3 } },
  refused: { kind: 'refused' },
  interrupted: { kind: 'interrupted' },
  fetched: { kind: 'fetched', fetchedMs: 120, slot: null },
  kept: { kind: 'kept' },
  written: { kind: 'written' },
  clear: { kind: 'clear', baseline: { disk: 'ok' }, baselineServer: 'ok' },
  probed: { kind: 'probed', baselineServer: 'ok' },
  'agent-gone': { kind: 'agent-gone' },
  'agent-stays': { kind: 'agent-stays' },
  'snapshot-done': { kind: 'snapshot-done' },
  'snapshot-failed': { kind: 'snapshot-failed' },
  'data-back': { kind: 'data-back' },
  started: { kind: 'started' },
  'time-passed': { kind: 'time-passed', healthyMs: 2_000, usedMs: 3_000 },
  passed: { kind: 'passed', downMs: 900 },
  failed: { kind: 'failed', reason: 'stalled', text: 'its work stood still for 3 s' },
  committed: { kind: 'committed' },
  reverted: { kind: 'reverted' },
  closed: { kind: 'closed' },
  damaged: { kind: 'damaged', safe: { reason: 'slot-damaged', tx: 0, text: 'main.js has another content' } },
  sound: { kind: 'sound' },
} as const satisfies { [Kind in MachineEvent['kind']]: Extract<MachineEvent, { kind: Kind }> };

/** Back to the data of before, which only a person asks for. */
export const returnToData = { ...events.return, data: { tx: 3, ageH: 120 } } as const;

/** What happened before a row, from idle on. */
const ways: Readonly<Record<Exclude<Row, 'returning'>, readonly (keyof typeof events)[]>> = (() => {
  const sealed = ['take', 'resolved', 'fetched', 'written'] as const;
  const trial = [...sealed, 'clear', 'agent-gone', 'snapshot-done', 'started'] as const;
  return {
    idle: [],
    resolved: ['take'],
    fetching: ['take', 'resolved'],
    writing: ['take', 'resolved', 'fetched'],
    sealed,
    quiesced: [...sealed, 'clear'],
    snapped: [...sealed, 'clear', 'agent-gone'],
    armed: [...sealed, 'clear', 'agent-gone', 'snapshot-done'],
    trial,
    committing: [...trial, 'passed'],
    reverting: [...trial, 'failed'],
    closing: ['window-ended'],
    safe: ['damaged'],
  };
})();

/** The state that a transaction has in a row, as the machine itself leads there. */
export function stateIn(row: Row, from: StateBody = idleState()): StateBody {
  if (row === 'returning') {
    const begun = next(from, returnToData);
    return (['clear', 'agent-gone', 'snapshot-done'] as const).reduce(
      (state, kind) => next(state, events[kind]),
      begun,
    );
  }
  return ways[row].reduce((state, kind) => next(state, events[kind]), from);
}

/** An update of the updater by the server, with the agent's rollback window closed. */
export const updaterUpdate: { readonly closed: StateBody; readonly take: EventOf<'take'> } = {
  closed: idleState({ app: { committed: installed('1', '1.0.49', 'b'), previous: null } }),
  take: {
    kind: 'take',
    choice: {
      kind: 'update',
      component: 'updater',
      version: '1.1.0',
      manifest: digestOf('c'),
      source: { kind: 'server', path: '/releases' },
      waits: true,
    },
  },
};
