import type { Row, StateBody } from '../protocol/state-record.ts';
import type { TransactionLine } from '../protocol/status.ts';
import { ageWord } from './age-word.ts';
import { next } from './machine.ts';
import type { EventOf, MachineEvent } from './machine-event.ts';
import { downtimeOf, type Found, type Plan, type Reason, type Step, switchWords } from './plan.ts';
import { transactionOf } from './transitions.ts';

/** What going back would do, step by step, from facts that others found. Pure: the state table itself is walked. */

export interface FoundBack {
  readonly trial: Found['trial'];
  readonly stateBytes: number;
  readonly history: readonly TransactionLine[];
}

type Return = EventOf<'return'>;

/** What a good return finds, row by row. */
function eventsOf({ data }: Return): MachineEvent[] {
  return [
    { kind: 'clear', baseline: null, baselineServer: 'unknown' },
    { kind: 'agent-gone' },
    { kind: 'snapshot-done' },
    ...(data === undefined ? [] : [{ kind: 'data-back' } as const]),
    { kind: 'started' },
    { kind: 'passed', downMs: 0 },
    { kind: 'committed' },
  ];
}

/** @param waits what it will wait for before the agent is stopped */
export function planBackOf(state: StateBody, asked: Return, found: FoundBack, waits: readonly Reason[]): Plan {
  const begun = next(state, asked);
  const { version, manifest, source } = transactionOf(begun);
  const { committed } = state.app;
  const data = asked.data === undefined ? 'today' : `${ageWord(asked.data.ageH)} ago`;
  const kept = asked.data === undefined ? 'the data is kept' : "today's data is put aside";
  return {
    outcome: waits.length > 0 ? 'waits' : 'plan',
    sentence: `${version} would run again in place of ${committed.version}, with its data of ${data}; ${kept}.`,
    reasons: waits,
    release: { component: 'app', version, manifest, from: committed.version, source: `${source.kind} ${source.path}` },
    steps: stepsOf(begun, asked, found, committed.version),
    bytes: { toFetch: 0, reused: 0, written: 0, reserved: found.stateBytes },
    downtime: downtimeOf(found.history, found.stateBytes),
    trial: found.trial,
    ifItFails: failureOf(begun, asked),
  };
}

function stepsOf(begun: StateBody, asked: Return, found: FoundBack, left: string): Step[] {
  const steps: Step[] = [];
  let at = begun;
  for (const event of eventsOf(asked)) {
    const { slot } = transactionOf(at);
    const bytes = at.row === 'snapped' ? found.stateBytes : null;
    steps.push({ row: at.row, does: wordsOf(at.row, asked, found, left), slot, files: null, bytes });
    at = next(at, event);
  }
  return steps;
}

function wordsOf(row: Row, { data, trial }: Return, { trial: { tries } }: FoundBack, left: string): string {
  switch (row) {
    case 'sealed':
      return 'read every byte of the slot, reserve space; nobody is waited for';
    case 'snapped':
      return "copy today's state of the agent";
    case 'returning':
      return `put its data of ${ageWord(data?.ageH ?? 0)} ago in the place of today's, and read every byte of it`;
    case 'committing':
      return `mark the slot as committed; ${left} is not taken by itself again`;
    default:
      return switchWords(row, { ...trial, tries });
  }
}

/** What the table leads to after a verdict against it. */
function failureOf(begun: StateBody, asked: Return): string {
  const events = eventsOf(asked);
  const untilTrial = events.slice(
    0,
    events.findIndex(({ kind }) => kind === 'passed'),
  );
  const failed = next(untilTrial.reduce(next, begun), { kind: 'failed', reason: 'crash-loop', text: '' });
  const { app } = next(failed, { kind: 'reverted' });
  return `${app.committed.version} runs again from slot ${app.committed.slot}, with its state as it was before the switch.`;
}
