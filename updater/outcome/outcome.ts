import type { Evidence } from '../../protocol/evidence.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { TransactionLine } from '../../protocol/status.ts';
import { cut } from '../../protocol/text.ts';
import type { Restored } from '../agent-data/restore.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { rulesOf } from '../machine/component-rules.ts';
import type { MachineEvent } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import { transactionEvent } from '../server/events.ts';
import { outcomeTexts, reasonTexts } from '../words/texts.ts';
import { writeHistory } from './history.ts';

export interface Outcome {
  readonly outcome: 'committed' | 'rolled-back' | 'refused' | 'written';
  readonly reason: string | null;
  readonly text: string;
  /** For the history of this appliance only, e.g. where something is kept. */
  readonly here?: string;
  readonly downMs: number | null;
  readonly revertedMs: number | null;
  /** The refusal says nothing about the release itself: it may install later. */
  readonly isTemporary?: boolean;
  readonly restored?: readonly Restored[];
  readonly evidence?: Evidence;
}

/** What a step found. `end`: its transaction ends with it, in the words that people and the server read. */
export type Found = MachineEvent & { readonly end?: Outcome };

const eventKinds = {
  committed: 'release-committed',
  'rolled-back': 'release-rolled-back',
  refused: 'release-refused',
  // Nothing runs it yet: the server must not take the word for success.
  written: 'note',
} as const;

/**
 * Reports how a transaction ends, before the record says that it is over: after a power cut, the same report is
 * repeated.
 * @returns what was found
 */
export function recordEnd(appliance: Appliance, state: StateBody, found: Found): MachineEvent {
  if (found.end !== undefined) recordOutcome(appliance, state, transactionOf(state), found.end);
  return found;
}

/** Reports the end of a transaction to people and to the server. May be repeated: it stays one event and one line. */
export function recordOutcome(appliance: Appliance, state: StateBody, transaction: Transaction, end: Outcome): void {
  const { tx, component, manifest, version, fetchedMs } = transaction;
  const from = rulesOf(component).installed(state)?.version ?? '';
  if (end.outcome === 'committed' && transaction.cause !== undefined) recordLeft(appliance, state, transaction);
  appliance.events.add(transactionEvent(end.outcome, transaction), {
    kind: end.isTemporary === true ? 'note' : eventKinds[end.outcome],
    text: cut(end.text, 1_900),
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

/**
 * Reports the version that the updater left like one that was rolled back, so that the server stops its rollout for
 * all. Called before the commit, which ends what was tried and failed.
 */
function recordLeft(appliance: Appliance, state: StateBody, transaction: Transaction): void {
  const { tx, component, version, cause } = transaction;
  const { committed } = state.app;
  const reason = cause ?? 'crash-loop';
  appliance.events.add(transactionEvent('left', transaction), {
    kind: 'release-rolled-back',
    text: outcomeTexts.leftAfterCommit(committed.version, reasonTexts[reason], reason, version),
    release: { tx, component, manifest: committed.manifest, version: committed.version, from: version, reason },
  });
}

/** How long the previous version took to serve again, if this run saw the stop. */
export interface Recovered {
  readonly revertedMs?: number;
  readonly downMs?: number;
}

/** @param before the state that was reverted */
export function recordRecovered(appliance: Appliance, before: StateBody, took: Recovered): void {
  const transaction = transactionOf(before);
  const { tx, component, manifest, version } = transaction;
  const now = before.app.committed.version;
  appliance.events.add(transactionEvent('recovered', transaction), {
    kind: 'agent-recovered',
    text: outcomeTexts.servesAgain(now),
    release: { tx, component, manifest, version: now, from: version, ...took },
  });
}

function lineOf(appliance: Appliance, transaction: Transaction, from: string, end: Outcome): TransactionLine {
  return {
    tx: transaction.tx,
    component: transaction.component,
    from,
    to: transaction.version,
    outcome: end.outcome,
    reason: end.reason,
    text: cut([end.text, ...(end.here === undefined ? [] : [end.here])].join(' '), 600),
    fetchedMs: transaction.fetchedMs,
    downMs: end.downMs,
    revertedMs: end.revertedMs,
    ...(end.restored === undefined ? {} : { restored: [...end.restored] }),
    wallS: appliance.clock.wallS(),
  };
}
