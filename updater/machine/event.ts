import type { Component, SlotName } from '../../protocol/component.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { CheckStatus } from '../../protocol/health.ts';
import type { FailureReason, Safe, Transaction } from '../../protocol/state-record.ts';

/** What a row makes the updater do, once the row is on disk. Each effect may be repeated. */
export type Effect =
  | 'ask'
  | 'resolve'
  | 'fetch'
  | 'write'
  | 'await-window'
  | 'stop-agent'
  | 'snapshot'
  | 'put-back'
  | 'start-trial'
  | 'judge'
  | 'commit'
  | 'revert'
  | 'close';

/** A release that was chosen, before anything of it was checked. */
export interface Choice {
  readonly kind: 'update' | 'install';
  readonly component: Component;
  readonly version: string;
  readonly manifest: Digest;
  readonly source: Transaction['source'];
  readonly waits: boolean;
}

/** What an effect found. */
export type MachineEvent =
  | { readonly kind: 'nothing' }
  /** `id`: of the transaction that begins; a plan gives none. */
  | { readonly kind: 'take'; readonly choice: Choice; readonly id?: string }
  | ({ readonly kind: 'return' } & Pick<Transaction, 'trial' | 'cause' | 'data' | 'id'>)
  | { readonly kind: 'lift'; readonly manifest: Digest | null }
  | { readonly kind: 'window-time'; readonly usedMs: number }
  | { readonly kind: 'window-ended' }
  | { readonly kind: 'resolved'; readonly securityVersion: number; readonly trial: Transaction['trial'] }
  | { readonly kind: 'refused' }
  | { readonly kind: 'interrupted' }
  /** `slot`: the slot to be written; if the record has the slots, the record decides. */
  | { readonly kind: 'fetched'; readonly fetchedMs: number; readonly slot: SlotName | null }
  | { readonly kind: 'written' }
  | {
      readonly kind: 'clear';
      readonly baseline: Readonly<Record<string, CheckStatus>> | null;
      readonly baselineServer: CheckStatus;
    }
  /** The predecessor tried the updater as a child: nothing has to be stopped or copied for its trial. */
  | { readonly kind: 'probed'; readonly baselineServer: CheckStatus }
  /** Written and proven, but nothing here can switch to it. */
  | { readonly kind: 'kept' }
  | { readonly kind: 'agent-gone' }
  | { readonly kind: 'agent-stays' }
  | { readonly kind: 'snapshot-done' }
  | { readonly kind: 'snapshot-failed' }
  /** The older data is in the agent's place. */
  | { readonly kind: 'data-back' }
  | { readonly kind: 'started' }
  | {
      readonly kind: 'time-passed';
      readonly healthyMs: number;
      readonly usedMs: number;
      readonly migratingMs?: number;
      readonly start?: string;
      readonly serverCompared?: boolean;
    }
  | { readonly kind: 'passed'; readonly downMs: number; readonly serverCompared?: boolean }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly text: string }
  | { readonly kind: 'committed' }
  | { readonly kind: 'reverted' }
  | { readonly kind: 'closed' }
  /** Nothing proven can run: the factory agent runs, on its own state. */
  | { readonly kind: 'damaged'; readonly safe: Safe }
  /** What was damaged is whole again. */
  | { readonly kind: 'sound' };

export type EventKind = MachineEvent['kind'];
export type EventOf<K extends EventKind> = Extract<MachineEvent, { kind: K }>;

export class UnexpectedEventError extends Error {
  readonly code = 'unexpected-event';
}
