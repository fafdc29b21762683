import type { Row, StateBody } from '../../../protocol/state-record.ts';
import type { TransactionLine } from '../../../protocol/status.ts';
import type { EventOf, MachineEvent } from '../../machine/event.ts';
import { next } from '../../machine/table.ts';
import { transactionOf } from '../../machine/transaction.ts';
import { ageWord } from '../../words/age-word.ts';
import { planTexts } from '../../words/texts.ts';
import { downtimeOf, type Found, type Plan, type Reason, type Step, switchWords } from './plan.ts';

/** What going back would do, step by step, from facts that others found. Pure: it walks the state table itself. */

export interface FoundBack {
  readonly trial: Found['trial'];
  readonly stateBytes: number;
  readonly history: readonly TransactionLine[];
}

type Return = EventOf<'return'>;

/** The events of a return that goes well, row by row. */
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
  const data = asked.data === undefined ? planTexts.today : planTexts.ago(ageWord(asked.data.ageH));
  const kept = asked.data === undefined ? planTexts.dataKept : planTexts.dataPutAside;
  return {
    outcome: waits.length > 0 ? 'waits' : 'plan',
    sentence: planTexts.wouldRunAgain(version, committed.version, data, kept),
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
      return planTexts.readSlot;
    case 'snapped':
      return planTexts.copyToday;
    case 'returning':
      return planTexts.putEarlier(ageWord(data?.ageH ?? 0));
    case 'committing':
      return planTexts.markBack(left);
    default:
      return switchWords(row, { ...trial, tries });
  }
}

/** What the table leads to after a verdict against the version. */
function failureOf(begun: StateBody, asked: Return): string {
  const events = eventsOf(asked);
  const untilTrial = events.slice(
    0,
    events.findIndex(({ kind }) => kind === 'passed'),
  );
  const failed = next(untilTrial.reduce(next, begun), { kind: 'failed', reason: 'crash-loop', text: '' });
  const { app } = next(failed, { kind: 'reverted' });
  return planTexts.runsAgainBack(app.committed.version, app.committed.slot);
}
