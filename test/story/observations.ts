import type { Status, TransactionLine } from '../../protocol/status.ts';
import type { ApplianceView, OrderView, RolloutView } from '../../server-lite/operator/shapes.ts';

/** An acknowledged record as the server keeps it. */
export interface RecordSeen {
  readonly name: string;
  readonly sha256: string;
}

/** What the agent says it still has: a count, and a digest over all names and digests, read from its database. */
export interface ReadingsSeen {
  readonly upTo: number;
  readonly count: number;
  readonly sha256: string;
  readonly first: number | null;
}

/**
 * Everything that was seen from outside (server API, pages over HTTP, command line, process table), scene by scene.
 * Checks are functions of this and of nothing else, so that a planted lie in it shows which check would catch it.
 */
export interface Observations {
  readonly fleet?: {
    readonly appliances: readonly ApplianceView[];
    /** Agents in the process table: appliance -> pid and user. */
    readonly agents: Readonly<Record<string, { readonly pid: number; readonly uid: number } | null>>;
    readonly isRoot: boolean;
  };
  readonly crash?: {
    readonly order: OrderView;
    readonly crashes: readonly { readonly role: string; readonly code: number | null; readonly output: string }[];
    readonly pids: readonly number[];
    readonly page: { readonly status: number; readonly html: string; readonly why: string };
  };
  readonly fixed?: {
    readonly appliance: ApplianceView;
    readonly status: Status;
    readonly order: OrderView;
    readonly records: readonly RecordSeen[];
    readonly readings: ReadingsSeen;
  };
  readonly rolledBack?: {
    readonly appliance: ApplianceView;
    readonly status: Status;
    readonly history: readonly TransactionLine[];
    readonly recordsBefore: readonly RecordSeen[];
    readonly readingsBefore: ReadingsSeen;
    readonly recordsAfter: readonly RecordSeen[];
    readonly readingsAfter: ReadingsSeen;
    readonly rollout: RolloutView;
    readonly why: { readonly commandLine: string; readonly page: string; readonly dashboard: string };
  };
  readonly newest?: {
    readonly first: ApplianceView;
    readonly third: ApplianceView;
    readonly thirdHistory: readonly TransactionLine[];
  };
  readonly control?: {
    readonly appliance: ApplianceView;
    readonly order: OrderView;
    readonly updaterProcesses: readonly number[];
    readonly dashboard: string;
  };
}
