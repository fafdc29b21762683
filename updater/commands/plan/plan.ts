import type { Component, SlotName } from '../../../protocol/component.ts';
import type { Row, StateBody, Transaction } from '../../../protocol/state-record.ts';
import type { TransactionLine } from '../../../protocol/status.ts';
import { rulesOf } from '../../machine/component-rules.ts';
import type { Choice, MachineEvent } from '../../machine/event.ts';
import { next } from '../../machine/table.ts';
import { transactionOf } from '../../machine/transaction.ts';
import { nameOf } from '../../words/component-words.ts';
import { planTexts } from '../../words/texts.ts';

/** What the updater would do, step by step, from facts that others found. Pure: it walks the state table itself. */

/** Why something is not done, or is not done yet. */
export interface Reason {
  readonly code: string;
  readonly sentence: string;
  readonly next: string;
}

export interface Step {
  readonly row: Row;
  readonly does: string;
  /** The slot that the step is about; null: none, or not chosen yet. */
  readonly slot: SlotName | null;
  /** Files that the step writes, and bytes that it moves; null: none. */
  readonly files: number | null;
  readonly bytes: number | null;
}

/** What was found about the release and this appliance. */
export interface Found {
  readonly slot: SlotName;
  /** In the slot, and in a runtime that is not here yet. */
  readonly filesToWrite: number;
  readonly securityVersion: number;
  readonly trial: Transaction['trial'] & { readonly shortened: boolean };
  readonly reserved: { readonly fetching: number; readonly writing: number; readonly snapped: number };
  readonly fetchedBytes: number;
  readonly reusedBytes: number;
  readonly history: readonly TransactionLine[];
}

export interface Plan {
  /** `waits`: it begins, then waits for what the reasons name. */
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
    /** Taken from what is installed here; found by hash. */
    readonly reused: number;
    /** Into the slot, and a runtime that is not here yet. */
    readonly written: number;
    /** Reserved before the first write, so that nothing else can take it. */
    readonly reserved: number;
  } | null;
  readonly downtime: {
    /** The median of the last switches measured here; null: none was measured, so it is unknown. */
    readonly expectedMs: number | null;
    readonly measured: number;
    /** State of the agent that is copied while the agent is stopped. */
    readonly stateBytes: number;
  } | null;
  readonly trial: Found['trial'] | null;
  readonly ifItFails: string | null;
}

/** Only the newest measured switches predict the next one. */
const measuredMax = 5;

const nothingPlanned = { release: null, steps: [], bytes: null, downtime: null, trial: null, ifItFails: null } as const;

/** No plan, and the reason for that. */
export function noPlan(outcome: Plan['outcome'], sentence: string, reasons: readonly Reason[]): Plan {
  return { outcome, sentence, reasons, ...nothingPlanned };
}

/** @param waits what it will wait for before the switch */
export function planOf(state: StateBody, choice: Choice, found: Found, waits: readonly Reason[]): Plan {
  const steps = stepsOf(state, choice, found);
  const from = rulesOf(choice.component).installed(state)?.version ?? null;
  const { fetching, writing, snapped } = found.reserved;
  const isSwitched = isFound(choice, 'committed');
  return {
    outcome: waits.length > 0 ? 'waits' : 'plan',
    sentence: planTexts.wouldBeInstalled(
      choice.component,
      choice.version,
      from === null ? '' : planTexts.inPlaceOf(from),
    ),
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

/** Downtime of a switch of the agent, from what was measured here. */
export function downtimeOf(history: readonly TransactionLine[], stateBytes: number): NonNullable<Plan['downtime']> {
  const measured = history
    .filter((line) => rulesOf(line.component).stopsAgent && line.outcome === 'committed' && (line.downMs ?? 0) > 0)
    .flatMap(({ downMs }) => downMs ?? [])
    .slice(-measuredMax)
    .sort((a, b) => a - b);
  const expectedMs = measured[Math.floor(measured.length / 2)] ?? null;
  return { expectedMs, measured: measured.length, stateBytes };
}

function downtimeOfChoice(choice: Choice, { history, reserved }: Found): Plan['downtime'] {
  if (!isFound(choice, 'committed')) return null;
  if (isFound(choice, 'agent-gone')) return downtimeOf(history, reserved.snapped);
  // The agent does not notice such an update.
  return { expectedMs: 0, measured: 0, stateBytes: 0 };
}

/** Does an update that goes well meet this event after its slot is written? */
function isFound({ component }: Choice, kind: MachineEvent['kind']): boolean {
  return rulesOf(component).afterWritten.some((event) => event.kind === kind);
}

/** The events of an update that goes well, row by row. */
function eventsOf({ component }: Choice, found: Found): MachineEvent[] {
  const { shortened: _shortened, ...trial } = found.trial;
  return [
    { kind: 'resolved', securityVersion: found.securityVersion, trial },
    { kind: 'fetched', fetchedMs: 0, slot: found.slot },
    { kind: 'written' },
    ...rulesOf(component).afterWritten,
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

/** For a version that its predecessor tries as a child process. */
const probedSteps: Readonly<Partial<Record<Row, string>>> = {
  sealed: planTexts.sealUpdater,
  armed: planTexts.flipUpdater,
  trial: planTexts.firstRun,
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
  const ofProbed = isFound(choice, 'probed') ? probedSteps[state.row] : undefined;
  if (ofProbed !== undefined) return step(ofProbed);
  switch (state.row) {
    case 'resolved':
      return step(planTexts.verify, null, reserved.fetching + reserved.writing + reserved.snapped);
    case 'fetching':
      return choice.source.kind === 'server'
        ? step(planTexts.fetch, null, found.fetchedBytes)
        : step(planTexts.readBundle);
    case 'writing':
      return step(planTexts.write, found.filesToWrite, reserved.writing);
    case 'sealed':
      return step(choice.waits ? planTexts.sealAndWait : planTexts.seal);
    case 'snapped':
      return step(planTexts.copyState, null, reserved.snapped);
    case 'committing':
      return step(planTexts.mark);
    default:
      return step(switchWords(state.row, trial));
  }
}

/** What every switch of the agent does in this row. */
export function switchWords(row: Row, { healthyMs, deadlineMs, tries }: Transaction['trial']): string {
  switch (row) {
    case 'quiesced':
      return planTexts.baseline;
    case 'armed':
      return planTexts.flip(tries);
    case 'trial':
      return planTexts.judge(healthyMs / 1000, deadlineMs / 1000);
    default:
      return row;
  }
}

/** What the table leads to after a verdict against the version. */
function failureOf(state: StateBody, choice: Choice, found: Found): string {
  const events = eventsOf(choice, found);
  const toTrial = events.slice(
    0,
    events.findIndex(({ kind }) => kind === 'passed'),
  );
  const trial = toTrial.reduce((at, event) => next(at, event), next(state, { kind: 'take', choice }));
  const failed = next(trial, { kind: 'failed', reason: 'crash-loop', text: '' });
  const after = next(failed, { kind: 'reverted' });
  const { app, quarantine } = after;
  const isLeft = quarantine.some(({ manifest }) => manifest === choice.manifest);
  const left = isLeft ? planTexts.leftAlone(choice.version) : '';
  const back = rulesOf(choice.component).installed(after);
  if (back !== null && !isFound(choice, 'agent-gone'))
    return planTexts.continuesToUpdate(nameOf(choice.component, back.version), left);
  return planTexts.runsAgain(app.committed.version, app.committed.slot, left);
}
