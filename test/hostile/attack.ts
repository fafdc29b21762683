import type { FailureReason } from '../../protocol/state-record.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';

export interface Disk {
  readonly of: 'agent' | 'root' | 'run';
  readonly bytes: number;
}

export interface Attack {
  readonly version: string;
  readonly how: string;
  /** From outside: is it doing what it is there for? */
  readonly tookEffect: (box: ApplianceBox) => Promise<boolean> | boolean;
  /** How its trial must end; null: it is only looked at as the version that runs. */
  readonly onTrial: FailureReason | null;
  /** False: only its trial is looked at. */
  readonly asCommitted: boolean;
  /** What it destroys itself, and nobody can bring back. */
  readonly destroys: readonly ('state' | 'outbox')[];
  /** A file system of this size in the place of its directory, which is its quota, or of the whole data partition. */
  readonly disk?: Disk;
  /** The same where it is on trial. */
  readonly diskOnTrial?: Disk;
  /** What this appliance's own settings say otherwise. */
  readonly settings?: Readonly<Record<string, number>>;
}

export const inBoth = { asCommitted: true, destroys: [] } as const;
