import type { Evidence } from '../../protocol/evidence.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { TransactionLine } from '../../protocol/status.ts';
import type { Appliance } from '../appliance.ts';
import { writeHistory } from '../history.ts';
import type { Restored } from './restore.ts';

export interface Outcome {
  readonly outcome: 'committed' | 'rolled-back' | 'refused' | 'written';
  readonly reason: string | null;
  readonly text: string;
  /** For the history of this appliance only, e.g. where something is kept. */
  readonly here?: string;
  readonly downMs: number | null;
  readonly revertedMs: number | null;
  /** A refusal that says nothing about the release itself: the same one may install later. */
  readonly isTemporary?: boolean;
  readonly restored?: readonly Restored[];
  readonly evidence?: Evidence;
}

const eventKinds = {
  committed: 'release-committed',
  'rolled-back': 'release-rolled-back',
  refused: 'release-refused',
  // Nothing runs it yet: no word that a server takes for success.
  written: 'note',
} as const;

/** Puts the end of a transaction where people and the server find it. May be repeated: it is one event and one line. */
export function recordOutcome(appliance: Appliance, state: StateBody, transaction: Transaction, end: Outcome): void {
  const { tx, component, manifest, version, fetchedMs } = transaction;
  const from = component === 'os' ? '' : state[component].committed.version;
  appliance.events.add(`${end.outcome} ${tx}`, {
    kind: end.isTemporary === true ? 'note' : eventKinds[end.outcome],
    text: end.text.slice(0, 1_900),
    release: {
      tx,
      component,
      manifest,
      version,
      from,
      fetchedMs,
      ...(end.reason === null ? {} : { reason: end.reason }),
      ...(end.downMs === null ? {} : { downMs: end.downMs }),
      ...(end.revertedMs === null ? {} : { revertedMs: end.revertedMs }),
      ...(end.evidence === undefined ? {} : { evidence: end.evidence }),
    },
  });
  writeHistory(appliance.files, appliance.layout, lineOf(appliance, transaction, from, end));
}

function lineOf(appliance: Appliance, transaction: Transaction, from: string, end: Outcome): TransactionLine {
  return {
    tx: transaction.tx,
    component: transaction.component,
    from,
    to: transaction.version,
    outcome: end.outcome,
    reason: end.reason,
    text: [end.text, ...(end.here === undefined ? [] : [end.here])].join(' ').slice(0, 600),
    fetchedMs: transaction.fetchedMs,
    downMs: end.downMs,
    revertedMs: end.revertedMs,
    ...(end.restored === undefined ? {} : { restored: [...end.restored] }),
    wallS: appliance.clock.wallS(),
  };
}
