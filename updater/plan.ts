import type { Component, SlotName } from '../protocol/component.ts';
import type { Row, StateBody, Transaction } from '../protocol/state-record.ts';
import type { TransactionLine } from '../protocol/status.ts';
import { next } from './machine.ts';
import type { Choice, MachineEvent } from './machine-event.ts';
import { transactionOf } from './transitions.ts';

/** What the updater would do, step by step, from facts that others found. Pure: the state table itself is walked. */

/** Why something is not done, or not yet. */
export interface Reason {
  readonly code: string;
  readonly sentence: string;
  readonly next: string;
}

export interface Step {
  readonly row: Row;
  readonly does: string;
  /** The slot that it is about; null: none, or not chosen yet. */
  readonly slot: SlotName | null;
  /** Files that it writes, and bytes that it moves; null: none. */
  readonly files: number | null;
  readonly bytes: number | null;
}

/** What was found out about the release and this appliance. */
export interface Found {
  readonly slot: SlotName;
  /** Of the slot, and of a runtime that is not here yet. */
  readonly filesToWrite: number;
  readonly securityVersion: number;
  readonly trial: Transaction['trial'] & { readonly shortened: boolean };
  readonly reserved: { readonly fetching: number; readonly writing: number; readonly snapped: number };
  readonly fetchedBytes: number;
  readonly reusedBytes: number;
  readonly history: readonly TransactionLine[];
}

export interface Plan {
  /** `waits`: it begins, and then waits for what the reasons say. */
  readonly outcome: 'plan' | 'waits' | 'nothing' | 'refused' | 'unknown';
  readonly sentence: string;
  readonly reasons: readonly Reason[];
  readonly release: {
    readonly component: Component;
    readonly version: string;
    readonly manifest: string;
    readonly from: string | null;
    readonly source: string;
  } | null;
  readonly steps: readonly Step[];
  readonly bytes: {
    /** From the server, a cache or a neighbour. */
    readonly toFetch: number;
    /** Taken from what is installed here, found by hash. */
    readonly reused: number;
    /** Into the slot, and a runtime that is not here yet. */
    readonly written: number;
    /** Taken away from everybody else before the first write. */
    readonly reserved: number;
  } | null;
  readonly downtime: {
    /** The median of the last switches that were measured here; null: none was, so it is unknown. */
    readonly expectedMs: number | null;
    readonly measured: number;
    /** State of the agent that is copied while it stands still. */
    readonly stateBytes: number;
  } | null;
  readonly trial: Found['trial'] | null;
  readonly ifItFails: string | null;
}

/** Switches that were measured and still tell of the next one. */
const measuredMax = 5;

const nothingPlanned = { release: null, steps: [], bytes: null, downtime: null, trial: null, ifItFails: null } as const;

/** There is no plan, and why. */
export function noPlan(outcome: Plan['outcome'], sentence: string, reasons: readonly Reason[]): Plan {
  return { outcome, sentence, reasons, ...nothingPlanned };
}

/** @param waits what it will wait for before the switch */
export function planOf(state: StateBody, choice: Choice, found: Found, waits: readonly Reason[]): Plan {
  const steps = stepsOf(state, choice, found);
  const from = choice.component === 'os' ? null : state[choice.component].committed.version;
  const { fetching, writing, snapped } = found.reserved;
  const isSwitched = choice.component !== 'os';
  return {
    outcome: waits.length > 0 ? 'waits' : 'plan',
    sentence: `${choice.component} ${choice.version} would be installed${from === null ? '' : ` in place of ${from}`}.`,
    reasons: waits,
    release: {
      component: choice.component,
      version: choice.version,
      manifest: choice.manifest,
      from,
      source: `${choice.source.kind} ${choice.source.path}`,
    },
    steps,
    bytes: {
      toFetch: found.fetchedBytes,
      reused: found.reusedBytes,
      written: writing,
      reserved: fetching + writing + snapped,
    },
    downtime: downtimeOfChoice(choice, found),
    trial: isSwitched ? found.trial : null,
    ifItFails: isSwitched ? failureOf(state, choice, found) : null,
  };
}

/** Of a switch of the agent, from what was measured here. */
export function downtimeOf(history: readonly TransactionLine[], stateBytes: number): NonNullable<Plan['downtime']> {
  const measured = history
    .filter((line) => line.component === 'app' && line.outcome === 'committed' && (line.downMs ?? 0) > 0)
    .flatMap(({ downMs }) => downMs ?? [])
    .slice(-measuredMax)
    .sort((a, b) => a - b);
  const expectedMs = measured[Math.floor(measured.length / 2)] ?? null;
  return { expectedMs, measured: measured.length, stateBytes };
}

function downtimeOfChoice({ component }: Choice, { history, reserved }: Found): Plan['downtime'] {
  if (component === 'app') return downtimeOf(history, reserved.snapped);
  // The agent does not notice that the updater is replaced.
  return component === 'updater' ? { expectedMs: 0, measured: 0, stateBytes: 0 } : null;
}

/** What a good update finds, row by row; of the operating system it ends with the written slot. */
function eventsOf({ component }: Choice, found: Found): MachineEvent[] {
  const { shortened: _shortened, ...trial } = found.trial;
  const written: MachineEvent[] = [
    { kind: 'resolved', securityVersion: found.securityVersion, trial },
    { kind: 'fetched', fetchedMs: 0, slot: component === 'os' ? found.slot : null },
    { kind: 'written' },
  ];
  if (component === 'os') return [...written, { kind: 'kept' }];
  const passed: MachineEvent[] = [{ kind: 'started' }, { kind: 'passed', downMs: 0 }, { kind: 'committed' }];
  if (component === 'updater') return [...written, { kind: 'probed', baselineServer: 'unknown' }, ...passed];
  return [
    ...written,
    { kind: 'clear', baseline: null, baselineServer: 'unknown' },
    { kind: 'agent-gone' },
    { kind: 'snapshot-done' },
    ...passed,
  ];
}

function stepsOf(state: StateBody, choice: Choice, found: Found): Step[] {
  const steps: Step[] = [];
  let at = next(state, { kind: 'take', choice });
  for (const event of eventsOf(choice, found)) {
    steps.push(stepOf(at, choice, found));
    at = next(at, event);
  }
  return steps;
}

const updaterSteps: Readonly<Partial<Record<Row, string>>> = {
  sealed: 'seal the slot; try the new updater as a child that can write nowhere',
  armed: 'flip the state record; launch starts the new updater',
  trial: 'its first whole run decides; the agent goes on',
};

function stepOf(state: StateBody, choice: Choice, found: Found): Step {
  const { slot } = transactionOf(state);
  const step = (does: string, files: number | null = null, bytes: number | null = null): Step => ({
    row: state.row,
    does,
    slot,
    files,
    bytes,
  });
  const { reserved, trial } = found;
  const ofUpdater = choice.component === 'updater' ? updaterSteps[state.row] : undefined;
  if (ofUpdater !== undefined) return step(ofUpdater);
  switch (state.row) {
    case 'resolved':
      return step(
        'verify metadata and manifest, reserve space',
        null,
        reserved.fetching + reserved.writing + reserved.snapped,
      );
    case 'fetching':
      return choice.source.kind === 'server'
        ? step('fetch the chunks that nothing here has', null, found.fetchedBytes)
        : step('read the bundle where it lies; nothing of it is copied');
    case 'writing':
      return step('write the slot, sync it, read it back', found.filesToWrite, reserved.writing);
    case 'sealed':
      return step(choice.waits ? 'seal the slot; wait for the window where the agent is healthy' : 'seal the slot');
    case 'snapped':
      return step('copy the state of the agent', null, reserved.snapped);
    case 'committing':
      return step('mark the slot as committed; the version before is kept');
    default:
      return step(switchWords(state.row, trial));
  }
}

/** What every switch of the agent does in this row. */
export function switchWords(row: Row, { healthyMs, deadlineMs, tries }: Transaction['trial']): string {
  switch (row) {
    case 'quiesced':
      return 'record the baseline, stop the agent, prove that it is gone';
    case 'armed':
      return `flip the state record and start the new version, ${tries} tries`;
    case 'trial':
      return `judge it until it was healthy for ${healthyMs / 1000} s, ${deadlineMs / 1000} s at the most`;
    default:
      return row;
  }
}

/** What the table leads to after a verdict against it. */
function failureOf(state: StateBody, choice: Choice, found: Found): string {
  const events = eventsOf(choice, found);
  const toTrial = events.slice(
    0,
    events.findIndex(({ kind }) => kind === 'passed'),
  );
  const trial = toTrial.reduce((at, event) => next(at, event), next(state, { kind: 'take', choice }));
  const failed = next(trial, { kind: 'failed', reason: 'crash-loop', text: '' });
  const { app, updater, quarantine } = next(failed, { kind: 'reverted' });
  const isLeft = quarantine.some(({ manifest }) => manifest === choice.manifest);
  const left = isLeft ? `; ${choice.version} is not taken by itself again` : '';
  if (choice.component === 'updater')
    return `updater ${updater.committed.version} updates on; the agent goes on${left}.`;
  return `${app.committed.version} runs again from slot ${app.committed.slot}, with its state as it was before the switch${left}.`;
}
